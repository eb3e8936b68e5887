# SPDX-License-Identifier: Apache-2.0
"""
How the manual pages are built; ``make genman``.

They are kept with the sources, as the wheel has them and its build has no
Sphinx.  Nothing in them depends on the day or the release.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / 'ext'))

project = 'HawkFish Snapshots'
# Sphinx would put the day of the build there.
today = ' '

extensions = ['cliff.sphinxext', 'program_help', 'registry']
# Those of the whole documentation are not in a manual page.
suppress_warnings = ['ref.doc', 'ref.ref']
root_doc = 'hawkfish'
autoprogram_cliff_application = ''
autoprogram_cliff_app_dist_name = 'hawkfish-snapshots'
# They are the same for all commands, and told once.
autoprogram_cliff_ignored = [
    *('--help', '--max-width', '--fit-width', '--print-empty'),
    *('--noindent', '--prefix', '--quote'),
]

man_pages = [
    ('hawkfish', 'hawkfish', 'snapshots of systems over Redfish', [], 1),
    (
        'hawkfish-emulator',
        'hawkfish-emulator',
        'Redfish emulator with snapshots',
        [],
        1,
    ),
]
man_show_urls = False
