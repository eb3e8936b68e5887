# SPDX-License-Identifier: Apache-2.0
"""
Retention: the limits of a system, and what becomes of snapshots by them.

``rules`` decides, and is pure; ``policies`` keeps the limits.  What they no
longer allow is deleted by ``operations.prune``.
"""
