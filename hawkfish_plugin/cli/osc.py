# SPDX-License-Identifier: Apache-2.0
"""
The commands as a plugin of ``openstack``: ``openstack hawkfish ...``.

Owns the names that python-openstackclient looks for. The service is not in
Keystone's catalogue, so it is reached by options of its own, and by the same
environment and ``clouds.yaml`` as ``hawkfish`` itself.
"""

import argparse
from typing import TYPE_CHECKING, Any

from hawkfish_plugin.cli import app, connection

if TYPE_CHECKING:
    from hawkfish_plugin import client

API_NAME = app.NAME
API_VERSION_OPTION = 'os_hawkfish_api_version'
API_VERSIONS = ('1',)
DEFAULT_API_VERSION = '1'


def build_option_parser(
    parser: argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    """Add our options to those of every command."""
    connection.add_options(parser, prefix=f'{app.NAME}-')
    return parser


def make_client(instance: Any) -> 'client.HawkFish':
    """Return what a command finds as ``client_manager.hawkfish``."""
    return app.make_client(instance.get_configuration())
