# SPDX-License-Identifier: Apache-2.0
"""
The Redfish service over HTTP, one file for each kind of resource.

A view checks the request, makes one call downwards and renders the answer.
"""
