# SPDX-License-Identifier: Apache-2.0
"""
The services of an application, each built when it is first needed.

``foundations`` are tables, locks and the driver; ``access`` says who may see
what; ``catalogues`` are what there is, as users see it; ``work`` is what is
done, and when it is refused; ``background`` carries it out.  Each is given
those before it, and knows nothing of those after it.  ``plugin`` puts them
together, and has what a request may ask of them.
"""
