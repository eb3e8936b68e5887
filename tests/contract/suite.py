# SPDX-License-Identifier: Apache-2.0
"""
The contract of drivers, as tests.

A class of tests that inherits from ``DriverContract`` holds one driver to
what ``hawkfish_plugin.drivers.contract`` promises, whatever its hypervisor.
It has to have a fixture ``subject``, see there.
"""

from tests.contract.backing_up import BackingUp
from tests.contract.bundling import Bundling
from tests.contract.changing import Creating, Moving
from tests.contract.grouping import Grouping
from tests.contract.interrupting import Interrupting
from tests.contract.reading import Reading
from tests.contract.unsafe import Mending
from tests.contract.verifying import Verifying


class DriverContract(
    Reading,
    Creating,
    Moving,
    Interrupting,
    Grouping,
    Mending,
    Bundling,
    BackingUp,
    Verifying,
):
    """Every promise."""
