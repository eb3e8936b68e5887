# SPDX-License-Identifier: Apache-2.0
"""A release as its tag makes it, in a clone: version, notes, both archives."""

import importlib.metadata
import subprocess
import sys

import pytest

from tests import packages
from tests.packages import ROOT, pip, run
from tests.served import BIN, Served

VERSION = '1.0.0'

pytestmark = [
    pytest.mark.skipif(
        not (ROOT / '.git').exists(), reason='an archive has no tags'
    ),
    pytest.mark.xdist_group('tagged'),
]


@pytest.fixture(scope='module')
def clone(tmp_path_factory):
    """What is committed, with the tag of the release."""
    folder = tmp_path_factory.mktemp('clone') / 'hawkfish'
    run('git', 'clone', '--quiet', ROOT, folder)
    run('git', 'tag', '--no-sign', VERSION, cwd=folder)
    return folder


@pytest.fixture(scope='module')
def archives(clone):
    """The wheel and the source distribution of the tag."""
    out = clone / 'dist'
    out.mkdir()
    run(
        sys.executable,
        '-c',
        f'from pbr import build; build.build_sdist({str(out)!r})',
        cwd=clone,
    )
    return {
        'wheel': packages.wheel_of(clone, out),
        'sdist': next(out.glob('*.tar.gz')),
    }


def test_both_archives_have_the_version_of_the_tag(archives):
    """pbr takes it from there, and nobody writes it down twice."""
    names = {path.name for path in archives.values()}

    assert names == {
        f'hawkfish_snapshots-{VERSION}-py3-none-any.whl',
        f'hawkfish_snapshots-{VERSION}.tar.gz',
    }


def test_pypi_would_show_them_well(archives):
    """Their metadata is complete, and the description renders."""
    told = run(
        *(sys.executable, '-m', 'twine', 'check', '--strict'),
        *archives.values(),
    )

    assert told.count('PASSED') == len(archives)


def test_the_notes_are_those_of_the_release(clone):
    """reno finds a section of the version, with nothing left for later."""
    report = subprocess.run(
        [BIN / 'reno', 'report', '--no-show-source', '.'],
        cwd=clone,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert report.returncode == 0, report.stderr
    assert f'\n{VERSION}\n' in report.stdout
    assert f'{VERSION}-' not in report.stdout


@pytest.mark.parametrize('kind', ['wheel', 'sdist'])
def test_each_archive_installs_and_works(archives, tmp_path, kind):
    """In an empty environment: a snapshot of the fake system is made."""
    folder = tmp_path / 'venv'
    site = packages.make_environment(folder, '--without-pip')
    # There is no network for what the build of a source distribution needs.
    packages.link(['pbr', 'setuptools'], site)
    options = ['--quiet', '--no-deps', '--no-index', '--no-build-isolation']
    pip(
        *('--python', folder / 'bin/python', 'install', *options),
        archives[kind],
    )
    (own,) = importlib.metadata.distributions(
        name='hawkfish-snapshots', path=[str(site)]
    )
    packages.link(own.requires or (), site)
    served = Served(tmp_path)
    served.command[0] = str(folder / 'bin/hawkfish-emulator')
    # The checkout must not be what is found.
    served.environment.pop('PYTHONPATH', None)
    hawkfish = folder / 'bin/hawkfish'
    try:
        url = served.start().url
        run(hawkfish, '--url', url, 'snaps-create', 'fake', '--name', 'first')
        told = run(hawkfish, '--url', url, 'snaps-ls', 'fake')
    finally:
        served.stop()

    assert ' first ' in told
    assert VERSION in run(hawkfish, '--version')
    assert (folder / 'share/man/man1/hawkfish.1').is_file()
