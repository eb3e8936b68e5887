# SPDX-License-Identifier: Apache-2.0
"""What is known of sushy-tools, and what its own resources get from us."""
