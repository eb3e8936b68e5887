# SPDX-License-Identifier: Apache-2.0
"""The shell sessions of README and the guides, with a real domain."""

import importlib.metadata
import itertools
import os
import pathlib
import sys

import pytest

from tests import consoles, packages
from tests.functional.conftest import SMALL

# What is typed is the same for each libvirt.
pytestmark = pytest.mark.once

BIN = pathlib.Path(sys.executable).parent
PATH = f'{BIN}{os.pathsep}{os.environ["PATH"]}'


def test_readme(tmp_path, host, make_system):
    """
    README works when it is pasted, from its beginning to its end.

    From a checkout, in an environment of its own; the dependencies are those
    of this environment, as pip would have to fetch them.
    """
    requirements = tmp_path / 'requirements'
    requirements.mkdir()
    own = importlib.metadata.requires('hawkfish-snapshots') or []
    packages.link([*own, 'libvirt-python', 'pbr', 'setuptools'], requirements)
    system = make_system(**SMALL)
    words = {'qemu:///system': f"'{host.uri}'", 'node-0': system.name}
    sections = consoles.read(packages.ROOT / 'README.rst')

    with consoles.Shell(
        packages.copy_sources(tmp_path),
        words,
        PATH=PATH,
        PYTHONPATH=str(requirements),
        PIP_NO_INDEX='1',
        PIP_NO_DEPS='1',
        PIP_NO_BUILD_ISOLATION='0',
        OS_HAWKFISH__STATE_DIR=str(tmp_path / 'state'),
    ) as shell:
        for command in sections['Try it'] + sections['Use it']:
            shell.run(command)
    assert not system.domain.snapshotNum()


def test_tour(tmp_path, host, make_system):
    """The tour can be followed with libvirt as well, as it says."""
    system = make_system(**SMALL)
    words = {
        'qemu:///system': f"'{host.uri}'",
        ' fake': f' {system.name}',
        '/fake': f'/{system.name}',
    }
    page = packages.ROOT / 'doc/source/user/tour.rst'
    sections = consoles.read(page)
    start = sections.pop('With libvirt')
    rest = [
        c for c in itertools.chain(*sections.values()) if not c.in_background
    ]

    with consoles.Shell(
        tmp_path,
        words,
        PATH=PATH,
        OS_HAWKFISH__STATE_DIR=str(tmp_path / 'state'),
    ) as shell:
        for command in start + rest:
            # Sizes are others here.
            command.output = ''
            shell.run(command)
    assert not system.domain.snapshotNum()


@pytest.mark.parametrize(
    'page', ['admin/operations.rst', 'user/retention.rst']
)
def test_guide(tmp_path, emulator, make_system, page):
    """What a guide does with one system works, in its order."""
    system = make_system(**SMALL)
    sections = consoles.read(packages.ROOT / 'doc/source' / page)

    with consoles.Shell(
        tmp_path,
        {'node-0': system.name},
        PATH=PATH,
        HAWKFISH_URL=emulator.url,
    ) as shell:
        for command in itertools.chain(*sections.values()):
            # The tree that is shown is another one; guests have no packages.
            command.output = ''
            if not command.line.startswith('sudo '):
                shell.run(command)
        shell.run(
            consoles.Command('hawkfish snapshot purge node-0 --force --wait')
        )
