# SPDX-License-Identifier: Apache-2.0
"""
The build, by pbr.

pbr takes the version from git's tags or from an sdist. A source archive has
neither, and git does not read a checkout that belongs to another user; there
the version is 0.0.0.
"""

import os

import setuptools
from pbr import packaging

try:
    packaging.get_version('hawkfish-snapshots')
# pbr has no error of its own for it.
except Exception:
    os.environ['PBR_VERSION'] = '0.0.0'

setuptools.setup(pbr=True)
