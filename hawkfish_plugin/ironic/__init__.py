# SPDX-License-Identifier: Apache-2.0
"""The Ironic hardware type ``hawkfish``: Redfish with snapshots."""
