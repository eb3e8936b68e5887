# SPDX-License-Identifier: Apache-2.0
"""How the documentation is built."""

import importlib.metadata
import logging
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / 'ext'))

# It tells of each note that it reads.
logging.getLogger('reno').setLevel(logging.WARNING)

project = 'HawkFish Snapshots'
copyright = 'HawkFish developers, licensed under Apache-2.0'
version = release = importlib.metadata.version('hawkfish-snapshots')

extensions = [
    'bounds',
    'cliff.sphinxext',
    'csdl',
    'oslo_config.sphinxext',
    'registry',
    'reno.sphinxext',
    'sphinx.ext.autodoc',
    'sphinx_copybutton',
    'trees',
]
autodoc_member_order = 'bysource'
autodoc_typehints_format = 'short'
# Fields are declared with what reads them, which is of no use to a reader.
autodoc_default_options = {'no-value': True}
html_theme = 'furo'
html_title = f'{project} {release}'
html_show_sphinx = False
html_static_path = ['static']
html_css_files = ['pages.css']
# What is copied from a session are its commands.
copybutton_prompt_text = '$ '
copybutton_line_continuation_character = '\\'
# The commands are named in full where they are declared.
autoprogram_cliff_application = ''
autoprogram_cliff_app_dist_name = 'hawkfish-snapshots'
