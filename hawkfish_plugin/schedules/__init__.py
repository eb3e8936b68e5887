# SPDX-License-Identifier: Apache-2.0
"""
Schedules, which are Redfish's Jobs: what is done again and again, and when.

``recurrence`` says when; ``table`` has the schedules and how far each is.
``operations.scheduling`` carries them out.
"""
