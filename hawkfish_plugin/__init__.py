# SPDX-License-Identifier: Apache-2.0
"""
HawkFish Snapshots: a plugin for the sushy-tools Redfish emulator.

``activate()`` in a configuration file of the emulator is the documented way
in; ``plugin.setup(app)`` is where all ways in meet.
"""


def activate() -> None:
    """
    Add the plugin to the emulator whose configuration file calls this.

    Raises RuntimeError when called from anywhere else.
    """
    # Not at the top: a client that only imports the package needs no server.
    from hawkfish_plugin import plugin
    from hawkfish_plugin.emulator import internals

    plugin.setup(internals.app_being_configured())
