# SPDX-License-Identifier: Apache-2.0
"""
The summaries of the validators, as the documentation has them.

What fails and warns must be as many as there, no more and no less; how much
passes depends on what the service has.  With ``HAWKFISH_WRITE_FIGURES`` the
documentation gets what is found.
"""

import csv
import dataclasses
import os
import pathlib

from tests.validator.dmtf import Figures

TABLE = (
    pathlib.Path(__file__).parents[2] / 'doc/source/reference/conformance.csv'
)
# The stock emulator, and with the plugin.
STOCK, OURS = 'sushy-tools', 'with the plugin'
FAKE, LIBVIRT = 'fake', 'libvirt'


def check(validator: str, driver: str, service: str, found: Figures) -> None:
    """Compare what a *validator* has found with what is documented of it."""
    with TABLE.open(newline='') as lines:
        header, *rows = csv.reader(lines)
    key = [validator, driver, service]
    if os.environ.get('HAWKFISH_WRITE_FIGURES'):
        others = [row for row in rows if row[:3] != key]
        new = [*key, *map(str, dataclasses.astuple(found))]
        with TABLE.open('w', newline='') as lines:
            csv.writer(lines, lineterminator='\n').writerows(
                [header, *sorted([*others, new])]
            )
        return
    (row,) = [row for row in rows if row[:3] == key]
    documented = Figures(*map(int, row[3:]))
    assert (found.warned, found.failed) == (
        documented.warned,
        documented.failed,
    ), f'{found}, but documented is {documented}'
