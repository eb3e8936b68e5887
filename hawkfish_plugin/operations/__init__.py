# SPDX-License-Identifier: Apache-2.0
"""
The operations of the service, one module for each.

``wiring.work`` lists them.

See "Adding an operation" in the documentation.
"""
