# SPDX-License-Identifier: Apache-2.0
"""How the documentation is built."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / 'ext'))

project = 'HawkFish Snapshots'
copyright = 'HawkFish developers'

extensions = [
    'bounds',
    'cliff.sphinxext',
    'csdl',
    'openstackdocstheme',
    'oslo_config.sphinxext',
    'registry',
    'sphinx.ext.autodoc',
]
autodoc_member_order = 'bysource'
autodoc_typehints_format = 'short'
html_theme = 'openstackdocs'
html_theme_options = {'show_other_versions': False}
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_use_storyboard = False
# The commands are named in full where they are declared.
autoprogram_cliff_application = ''
autoprogram_cliff_app_dist_name = 'hawkfish-snapshots'
