# SPDX-License-Identifier: Apache-2.0
"""
Requests that nobody would think of, over the whole route table.

Whatever is asked, the answer is none that tells of a fault of ours.  A short
run is among the unit tests; ``python -m tests.fuzz`` takes an hour.
"""
