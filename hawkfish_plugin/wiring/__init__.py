# SPDX-License-Identifier: Apache-2.0
"""
The services of an application, each built when it is first needed.

``foundations`` are tables, locks and the driver; ``access`` says who may see
what; ``work`` is what is done, and when it is refused.  Each builds on those
before it, and ``plugin`` on all of them.
"""
