# SPDX-License-Identifier: Apache-2.0
"""
The commands as an ``openstack`` plugin: ``openstack hawkfish ...``.

Owns the names that python-openstackclient looks for. The service is not in
the Keystone catalog, so it has options of its own, and uses the same
environment variables and ``clouds.yaml`` as ``hawkfish``.
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
    """Add the HawkFish options to the global options."""
    connection.add_options(parser, prefix=f'{app.NAME}-')
    return parser


def make_client(instance: Any) -> 'client.HawkFish':
    """Return the client that is ``client_manager.hawkfish``."""
    found = connection.connect(instance.get_configuration())
    return app.make_client(found)
