# SPDX-License-Identifier: Apache-2.0
"""The ``hawkfish`` command; it uses HTTP only, through ``client``."""
