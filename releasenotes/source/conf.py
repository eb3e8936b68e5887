# SPDX-License-Identifier: Apache-2.0
"""How the release notes are built."""

project = 'HawkFish Snapshots'
copyright = 'HawkFish developers'

extensions = ['openstackdocstheme', 'reno.sphinxext']
html_theme = 'openstackdocs'
html_theme_options = {'show_other_versions': False}
openstackdocs_auto_name = False
openstackdocs_auto_version = False
