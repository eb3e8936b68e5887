# SPDX-License-Identifier: Apache-2.0
"""What is released: where each file comes from, and what each import needs."""

import ast
import fnmatch
import importlib.metadata
import re
import sys
import tarfile
import tomllib
import zipfile

import pytest
from packaging import requirements

from tests import packages
from tests.packages import ROOT

# Whoever wrote it here says so in its head.
WRITTEN = 'written for this project'
SCHEMAS = 'generated from the CSDL by make genschemas'
CONFIG = 'generated from the options by make genconfig'
MANUAL = 'generated from the documentation by make genman'
BUILD = 'made by the build'
ORIGINS = {
    'hawkfish_plugin/*.py': WRITTEN,
    'hawkfish_plugin/page/*.css': WRITTEN,
    'hawkfish_plugin/page/*.html': WRITTEN,
    'hawkfish_plugin/page/*.js': WRITTEN,
    'hawkfish_plugin/page/*.svg': 'written, without head',
    'hawkfish_plugin/data/csdl/*.xml': WRITTEN,
    'hawkfish_plugin/data/json-schemas/*.json': SCHEMAS,
    # JSON has no comments; there is nobody else's text in it.
    'hawkfish_plugin/data/registries/HawkFish.*.json': 'written, without head',
    'hawkfish_plugin/data/registries/standard.json': (
        'texts of the messages that we send, of the registries of the DMTF'
    ),
    'hawkfish_plugin/py.typed': 'empty, as PEP 561 says',
    '*.service': 'written, without head',
    '*/emulator.conf.example': 'written, without head',
    '*/hawkfish.conf.sample': CONFIG,
    '*/man1/*.1': MANUAL,
    '*.dist-info/licenses/LICENSE': 'the Apache License, unchanged',
    '*.dist-info/*': BUILD,
}
SPDX = 'SPDX-License-Identifier: Apache-2.0'

# What is only imported where the extra, or what loads it, is installed.
EXTRAS = {
    'hawkfish_plugin/drivers/libvirt/': 'libvirt',
    'hawkfish_plugin/ironic/': 'ironic',
}
# What loads these is what they import.
PLUGINS = {'hawkfish_plugin/pytest_plugin.py': {'pytest'}}
PROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    return packages.build_wheel(tmp_path_factory.mktemp('wheel'))


def origin(name):
    """The first that fits."""
    return next(
        (o for p, o in ORIGINS.items() if fnmatch.fnmatchcase(name, p)), None
    )


def test_every_file_of_the_wheel_has_an_origin(wheel):
    """Nothing gets in that nobody can account for."""
    names = zipfile.ZipFile(wheel).namelist()

    assert not [name for name in names if origin(name) is None]


def test_every_origin_is_one_of_files_that_there_are(wheel):
    """The list has no entry that is of the past."""
    names = zipfile.ZipFile(wheel).namelist()

    assert set(ORIGINS.values()) == {origin(name) for name in names}


def test_what_was_written_here_says_its_license(wheel):
    """In its first lines, for those who copy a single file."""
    archive = zipfile.ZipFile(wheel)
    bare = [
        name
        for name in archive.namelist()
        if origin(name) == WRITTEN
        and SPDX not in archive.read(name).decode()[:300]
    ]

    assert not bare


def test_every_file_of_the_source_distribution_is_one_of_ours(tmp_path):
    """It has what it was built from, and what pbr writes."""
    sdist = packages.build_sdist(tmp_path)
    made = re.compile(
        r'(PKG-INFO|setup\.cfg|AUTHORS|ChangeLog|.*\.egg-info/.*)$'
    )
    with tarfile.open(sdist) as archive:
        names = {
            member.name.partition('/')[2]
            for member in archive
            if member.isfile()
        }

    assert not {
        name
        for name in names
        if not made.fullmatch(name) and not (ROOT / name).is_file()
    }


def imported(path):
    """The modules at the top that *path* imports, for types alone too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition('.')[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition('.')[0]


def plain(name):
    return re.sub(r'[-_.]+', '-', name).lower()


def names_in(lines):
    return {
        plain(requirements.Requirement(line.partition('#')[0]).name)
        for line in lines
    }


def declared():
    return names_in((ROOT / 'requirements.txt').read_text().splitlines())


def optional(place):
    """What the file at *place* may import besides."""
    found = set(PLUGINS.get(place, ()))
    for folder, extra in EXTRAS.items():
        if place.startswith(folder):
            found |= names_in(PROJECT['optional-dependencies'][extra])
    return found


def needed():
    """The distribution of each import, and where that is."""
    known = importlib.metadata.packages_distributions()
    for path in sorted((ROOT / 'hawkfish_plugin').rglob('*.py')):
        place = str(path.relative_to(ROOT))
        for module in set(imported(path)) - set(sys.stdlib_module_names):
            if module != 'hawkfish_plugin':
                # What is not installed here is called as it is imported.
                for name in known.get(module, [module]):
                    yield plain(name), place


def test_every_import_is_of_a_declared_dependency():
    """None is there only because another dependency brings it along."""
    bare = declared()
    missing = {
        (name, place)
        for name, place in needed()
        if name not in bare | optional(place)
    }

    assert not missing


def test_every_declared_dependency_is_imported():
    """None is left over from what was there once."""
    assert not declared() - {name for name, _ in needed()}


def test_python_versions_are_told_once():
    """The classifiers begin with what requires-python says."""
    versions = [
        entry.rpartition(' ')[2]
        for entry in PROJECT['classifiers']
        if re.search(r':: 3\.\d+$', entry)
    ]

    assert PROJECT['requires-python'] == f'>={versions[0]}'
