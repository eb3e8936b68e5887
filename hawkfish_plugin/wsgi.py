# SPDX-License-Identifier: Apache-2.0
"""
The emulator with the plugin, for a WSGI server.

``gunicorn hawkfish_plugin.wsgi:application``; the emulator's own
configuration file is named by SUSHY_EMULATOR_CONFIG as always.
"""

from sushy_tools.emulator.main import app as application

from hawkfish_plugin import plugin

plugin.setup(application)
