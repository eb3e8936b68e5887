# SPDX-License-Identifier: Apache-2.0
"""
Bundles: a snapshot as one file that any host can bring up.

``manifest`` says what is in one, ``archive`` how that is laid out in a tar.
Pure functions; whoever moves bytes uses them.
"""
