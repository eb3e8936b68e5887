# SPDX-License-Identifier: Apache-2.0
"""The ``hawkfish`` command; it speaks HTTP only, through ``client``."""
