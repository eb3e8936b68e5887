# SPDX-License-Identifier: Apache-2.0
"""
From records to Redfish: every URI, every type and every resource served.

Pure functions of their arguments: nothing here reads a request, a database or
a hypervisor.
"""
