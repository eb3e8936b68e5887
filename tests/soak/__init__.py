# SPDX-License-Identifier: Apache-2.0
"""
An hour with clients that misbehave, and an emulator that is killed.

``python -m tests.soak`` tells at its end what is left that should not be.
"""
