# SPDX-License-Identifier: Apache-2.0
"""A real hypervisor and a real guest for the tests, small and fast.

``roots`` builds the systems the daemons run in, ``guest`` what the domains
boot; ``host`` is a running hypervisor, ``domains`` defines what is on it,
``shell`` looks into a guest. Imports nothing of the plugin.
"""
