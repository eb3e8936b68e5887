# SPDX-License-Identifier: Apache-2.0
"""The wheel: what is in it, and that it works where nothing else is."""

import importlib.metadata
import re
import zipfile

import pytest

from tests import packages
from tests.lab import prerequisites
from tests.packages import ROOT, pip, run
from tests.served import Served

# What a wheel has besides the package.
METADATA = re.compile(r'^[^/]+\.(dist-info|data)/')


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    return packages.build_wheel(tmp_path_factory.mktemp('wheel'))


@pytest.fixture(scope='module')
def installed(tmp_path_factory, wheel):
    """
    The Python of an environment with the wheel and what it requires.

    A dependency that nobody declared is missing there, and so are libvirt and
    our own checkout.
    """
    folder = tmp_path_factory.mktemp('installed') / 'venv'
    site = packages.make_environment(folder, '--without-pip')
    python = folder / 'bin/python'
    pip(
        '--python',
        python,
        'install',
        '--quiet',
        '--no-deps',
        '--no-index',
        wheel,
    )
    (own,) = importlib.metadata.distributions(
        name='hawkfish-snapshots', path=[str(site)]
    )
    packages.link(own.requires or (), site)
    return python


def test_every_file_of_the_package_is_in_the_wheel(wheel):
    """Modules and data files are all there, and nothing else is."""
    wanted = {
        str(path.relative_to(ROOT))
        for path in (ROOT / 'hawkfish_plugin').rglob('*')
        if path.is_file()
        and '__pycache__' not in path.parts
        # What tools keep where they are run from.
        and not any(p.startswith('.') for p in path.relative_to(ROOT).parts)
    }
    held = zipfile.ZipFile(wheel).namelist()

    assert {n for n in held if not METADATA.search(n)} == wanted


def test_data_files_go_where_distributions_have_them(wheel):
    """The manual pages, the unit, and the files to begin with."""
    held = zipfile.ZipFile(wheel).namelist()

    assert {
        name.partition('.data/data/')[2] for name in held if '.data/' in name
    } == {
        'lib/systemd/system/hawkfish-emulator.service',
        'share/doc/hawkfish-snapshots/emulator.conf.example',
        'share/doc/hawkfish-snapshots/hawkfish.conf.sample',
        'share/man/man1/hawkfish-emulator.1',
        'share/man/man1/hawkfish.1',
    }


def test_source_distribution_builds_the_same(wheel, tmp_path):
    """The wheel of the source distribution has the same files."""
    sources, out = tmp_path / 'sources', tmp_path / 'out'
    sources.mkdir()
    sdist = packages.build_sdist(sources)

    again = packages.wheel_of(sdist, out)

    assert again.name == wheel.name
    assert set(zipfile.ZipFile(again).namelist()) == set(
        zipfile.ZipFile(wheel).namelist()
    )


def test_registries_are_read_from_the_installed_package(installed):
    """The messages are found where the wheel has put them."""
    code = 'from hawkfish_plugin import messages; print(messages.registry())'

    assert 'HawkFish.1.0.SnapshotBusy' in run(installed, '-c', code)


def test_every_entry_point_resolves(installed):
    """What the metadata name exists, but for what needs more installed."""
    code = """
from importlib import metadata
EXTRAS = (
    'hawkfish_plugin.drivers.libvirt:',
    'hawkfish_plugin.ironic.',
    'hawkfish_plugin.pytest_plugin',
)
for point in metadata.distribution('hawkfish-snapshots').entry_points:
    if point.value.startswith(EXTRAS):
        continue
    point.load()
    print(point.group, point.name)
"""
    loaded = run(installed, '-c', code).splitlines()

    assert 'sushy_tools.emulator.extensions hawkfish' in loaded
    assert 'sushy.resources.system.oems hawkfish' in loaded
    assert 'hawkfish.drivers fake' in loaded
    assert 'openstack.hawkfish.v1 hawkfish_snaps-ls' in loaded


@pytest.mark.parametrize('program', ['hawkfish', 'hawkfish-emulator'])
def test_programs_start(installed, program):
    """The programs answer --help with nothing but the dependencies there."""
    assert 'usage' in run(installed.parent / program, '--help').lower()


def test_commands_are_found(installed):
    """``hawkfish`` finds its commands by their entry points."""
    told = run(installed.parent / 'hawkfish', 'snapshot', 'create', '--help')

    assert '--no-memory' in told


def test_every_module_does_without_extras(installed):
    """Only the libvirt driver needs libvirt, and Ironic's part Ironic."""
    code = """
import importlib, pkgutil, hawkfish_plugin
try:
    import libvirt
except ImportError:
    pass
else:
    raise SystemExit('libvirt should not be here')
prefix = 'hawkfish_plugin.'
for module in pkgutil.walk_packages(
    hawkfish_plugin.__path__, prefix, onerror=lambda name: None
):
    if not module.name.startswith(
        (
            prefix + 'drivers.libvirt',
            prefix + 'ironic.',
            # It is pytest that loads it.
            prefix + 'pytest_plugin',
        )
    ):
        importlib.import_module(module.name)
        print(module.name)
"""
    assert 'hawkfish_plugin.wsgi' in run(installed, '-c', code)


def test_set_up_installs_what_the_lab_needs():
    """Each package that the lab asks for is one that tools/setup installs."""
    listed = {
        line.split()[0]
        for line in (ROOT / 'bindep.txt').read_text().splitlines()
        if line and not line.startswith('#')
    }

    assert set(prerequisites.PROGRAMS.values()) <= listed


@pytest.fixture
def fake_emulator(installed, tmp_path):
    """The installed emulator with its fake systems, and its URL."""
    served = Served(tmp_path)
    served.command[0] = str(installed.parent / 'hawkfish-emulator')
    try:
        yield served.start().url
    finally:
        served.stop()


def test_first_minutes_of_a_newcomer(installed, fake_emulator):
    """Create, list, revert and delete work with the wheel and no libvirt."""

    def hawkfish(*words):
        program = installed.parent / 'hawkfish'
        return run(program, '--url', fake_emulator, *words)

    hawkfish('snaps-create', 'fake', '--name', 'clean')
    assert ' clean ' in hawkfish('snaps-ls', 'fake')
    assert 'Completed' in hawkfish('snaps-revert', 'fake', 'clean')
    assert 'Completed' in hawkfish('snaps-rm', 'fake', 'clean')
    assert 'clean' not in hawkfish('snaps-ls', 'fake')
