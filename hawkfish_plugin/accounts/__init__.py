# SPDX-License-Identifier: Apache-2.0
"""
Who may log in, and as what.

``users`` reads the emulator's file of users, ``roles`` ours of their roles,
``files`` writes both, ``table`` puts them together, ``throttle`` counts what
fails to log in.
"""
