# SPDX-License-Identifier: Apache-2.0
"""
Groups of systems, and the snapshots of their members that belong together.

``table`` keeps which do; ``catalogue`` makes of that, and of the members' own
snapshots, what users see: ``views``, whose places in the members' trees are
found by ``trees``.  ``forecast`` is what a create of all would need.
"""
