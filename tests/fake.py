# SPDX-License-Identifier: Apache-2.0
"""The emulator over its fake systems, for tests that are kept elsewhere."""

from tests.served import Served as FakeEmulator

__all__ = ['FakeEmulator']
