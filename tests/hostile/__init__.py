# SPDX-License-Identifier: Apache-2.0
"""
What a hostile client sends, generated from the route table.

Nothing here lists a route, a body or a property by hand: what is added to the
API is asked for as well.  A part of it runs with the tests of the release;
``python -m tests.hostile`` sends all, and kills an emulator again and again.
"""
