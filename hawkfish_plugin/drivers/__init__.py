# SPDX-License-Identifier: Apache-2.0
"""
Hypervisors: what a driver is, and the way to one of them.

``contract`` says what every driver promises; each driver is registered by its
name as an entry point of the group ``hawkfish.drivers``.
"""

from collections.abc import Callable, Mapping
from typing import Any

import stevedore
from oslo_config import cfg
from stevedore import exception as stevedore_errors

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract

NAMESPACE = 'hawkfish.drivers'


def load(
    name: str,
    conf: cfg.ConfigOpts,
    emulator: Mapping[str, Any],
    systems: Callable[[], Any],
) -> contract.Driver:
    """
    The driver registered as *name*.

    *emulator* is the emulator's configuration, *systems* gives its own
    systems driver when it is first needed.

    Raises DriverNotSupported where there is none of that name.
    """
    try:
        manager: Any = stevedore.DriverManager(NAMESPACE, name)
    except stevedore_errors.NoMatches as exc:
        raise exceptions.DriverNotSupported(name) from exc
    driver: contract.Driver = manager.driver(conf, emulator, systems)
    return driver
