# SPDX-License-Identifier: Apache-2.0
"""
The operations of the service, one module for each; ``plugin`` lists them.

See "Adding an operation" in the documentation.
"""
