# SPDX-License-Identifier: Apache-2.0
"""
Our wheel, and environments that have certain distributions and no others.

To fetch dependencies anew would take a minute and the network. So the files
of the present environment are linked instead, but of those distributions
only that are asked for, and what those require.
"""

import importlib.metadata
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable

from packaging import requirements

ROOT = pathlib.Path(__file__).parents[1]
SOURCES = (
    'LICENSE',
    'README.rst',
    'etc',
    'hawkfish_plugin',
    'man',
    'pyproject.toml',
    'requirements.txt',
    'setup.cfg',
    'setup.py',
)


def run(*command, **kwargs):
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=120,
        **kwargs,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip(*args, **kwargs):
    return run(
        sys.executable,
        '-m',
        'pip',
        '--disable-pip-version-check',
        *args,
        **kwargs,
    )


def copy_sources(folder: pathlib.Path) -> pathlib.Path:
    """Copy what is built from, without git, as an archive has it."""
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    return folder


def build_wheel(folder: pathlib.Path) -> pathlib.Path:
    """The wheel of the sources alone."""
    return wheel_of(copy_sources(folder), folder / 'out')


def build_sdist(folder: pathlib.Path) -> pathlib.Path:
    """The source distribution of the sources alone."""
    copy_sources(folder)
    out = folder / 'out'
    out.mkdir()
    run(
        sys.executable,
        '-c',
        f'from pbr import build; build.build_sdist({str(out)!r})',
        cwd=folder,
    )
    return next(out.glob('*.tar.gz'))


def wheel_of(source: pathlib.Path, out: pathlib.Path) -> pathlib.Path:
    """Build the wheel of a folder or a source distribution into *out*."""
    pip(
        'wheel',
        '--quiet',
        '--no-deps',
        '--no-build-isolation',
        '--wheel-dir',
        out,
        source,
    )
    return next(out.glob('*.whl'))


def make_environment(folder: pathlib.Path, *options: str) -> pathlib.Path:
    """An empty virtual environment; returns its folder of modules."""
    run(sys.executable, '-m', 'venv', *options, folder)
    (site,) = (folder / 'lib').glob('python*/site-packages')
    return site


def link(required: Iterable[str], site: pathlib.Path) -> None:
    """Make *required*, and all that those require, importable in *site*."""
    for distribution in _dependencies(list(required)):
        _link_files(distribution, site)


def _plain(name):
    return re.sub(r'[-_.]+', '-', name).lower()


def _dependencies(required):
    """The distributions that *required* lead to, libvirt's not among them."""
    found = {}
    while required:
        requirement = requirements.Requirement(required.pop())
        marker, name = requirement.marker, _plain(requirement.name)
        if name in found or (marker and not marker.evaluate({'extra': ''})):
            continue
        found[name] = importlib.metadata.distribution(name)
        required += found[name].requires or []
    return found.values()


def _link_files(distribution, folder):
    """Make what *distribution* has at the top importable from *folder*."""
    top = {path.parts[0] for path in distribution.files or ()}
    for name in top - {'..', '__pycache__'}:
        source = pathlib.Path(str(distribution.locate_file(name)))
        if source.exists() and not (folder / name).exists():
            (folder / name).symlink_to(source)
