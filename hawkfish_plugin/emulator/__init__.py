# SPDX-License-Identifier: Apache-2.0
"""
The plugin inside the sushy-tools emulator.

``hooks.install`` is the way in; ``internals`` has what is relied on of
sushy-tools.  Imports nothing itself, as every layer may import ``internals``.
"""
