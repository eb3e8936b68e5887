# SPDX-License-Identifier: Apache-2.0
"""The hardware type ``hawkfish`` of Ironic: Redfish, with snapshots."""
