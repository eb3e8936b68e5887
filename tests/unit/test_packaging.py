# SPDX-License-Identifier: Apache-2.0
"""The wheel: what is in it, and that it works where nothing else is."""

import importlib.metadata
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
from packaging import requirements

from tests.lab import prerequisites

ROOT = pathlib.Path(__file__).parents[2]
SOURCES = (
    'LICENSE', 'README.rst', 'hawkfish_plugin', 'pyproject.toml',
    'requirements.txt', 'setup.cfg', 'setup.py',
)  # fmt: skip


def run(*command, **kwargs):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True,
        timeout=120, **kwargs,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip(*args, **kwargs):
    return run(
        sys.executable, '-m', 'pip', '--disable-pip-version-check', *args,
        **kwargs,
    )  # fmt: skip


def plain(name):
    return re.sub(r'[-_.]+', '-', name).lower()


def dependencies(required):
    """The distributions that *required* lead to, libvirt's not among them."""
    found = {}
    while required:
        requirement = requirements.Requirement(required.pop())
        marker, name = requirement.marker, plain(requirement.name)
        if name in found or (marker and not marker.evaluate({'extra': ''})):
            continue
        found[name] = importlib.metadata.distribution(name)
        required += found[name].requires or []
    return found.values()


def link_files(distribution, folder):
    """Make what *distribution* has at the top importable from *folder*."""
    top = {path.parts[0] for path in distribution.files or ()}
    for name in top - {'..', '__pycache__'}:
        source = pathlib.Path(str(distribution.locate_file(name)))
        if source.exists() and not (folder / name).exists():
            (folder / name).symlink_to(source)


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """The wheel of the sources alone, without git, as from an archive."""
    folder = tmp_path_factory.mktemp('wheel')
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    pip(
        'wheel', '--quiet', '--no-deps', '--no-build-isolation',
        '--wheel-dir', folder / 'out', folder,
    )  # fmt: skip
    return next((folder / 'out').glob('*.whl'))


@pytest.fixture(scope='module')
def installed(tmp_path_factory, wheel):
    """
    The Python of an environment with the wheel and what it requires.

    To fetch the dependencies anew would take a minute and the network. So
    the files of this environment are linked instead, but of those
    distributions only that the wheel's metadata lead to: a dependency that
    nobody declared is missing, and so are libvirt and our own checkout.
    """
    folder = tmp_path_factory.mktemp('installed')
    run(sys.executable, '-m', 'venv', '--without-pip', folder / 'venv')
    python = folder / 'venv/bin/python'
    pip('--python', python, 'install', '--quiet', '--no-deps', '--no-index',
        wheel)  # fmt: skip
    site, = (folder / 'venv/lib').glob('python*/site-packages')
    own, = importlib.metadata.distributions(
        name='hawkfish-snapshots', path=[str(site)]
    )
    for distribution in dependencies(list(own.requires or ())):
        link_files(distribution, site)
    return python


def test_every_file_of_the_package_is_in_the_wheel(wheel):
    """Modules and data files are all there, and nothing else is."""
    wanted = {
        str(path.relative_to(ROOT))
        for path in (ROOT / 'hawkfish_plugin').rglob('*')
        if path.is_file() and '__pycache__' not in path.parts
        # What tools keep where they are run from.
        and not any(p.startswith('.') for p in path.relative_to(ROOT).parts)
    }
    held = zipfile.ZipFile(wheel).namelist()

    assert {n for n in held if '.dist-info/' not in n} == wanted


def test_registries_are_read_from_the_installed_package(installed):
    """The messages are found where the wheel has put them."""
    code = 'from hawkfish_plugin import messages; print(messages.registry())'

    assert 'HawkFish.1.0.SnapshotBusy' in run(installed, '-c', code)


def test_every_entry_point_resolves(installed):
    """What the metadata name exists, but for the driver that needs libvirt."""
    code = """
from importlib import metadata
for point in metadata.distribution('hawkfish-snapshots').entry_points:
    if point.value.startswith('hawkfish_plugin.drivers.libvirt:'):
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


def test_every_module_but_the_driver_does_without_libvirt(installed):
    """Only the libvirt driver needs libvirt."""
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
    if not module.name.startswith(prefix + 'drivers.libvirt'):
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
