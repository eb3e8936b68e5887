# SPDX-License-Identifier: Apache-2.0
"""
The sushy-tools that we support, and the change that is proposed to it.

What is relied on of its insides is checked with the oldest release that
requirements.txt allows, as well as with the installed one.
"""

import importlib.metadata
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
import sushy_tools
from packaging import requirements

from tests.packages import pip

ROOT = pathlib.Path(__file__).parents[2]
PATCH = ROOT / 'doc/source/contributor/sushy-tools-extensions.patch'
MADE_ON = '2.2.0'

REFUSALS = ROOT / 'doc/source/contributor/sushy-tools-refusals.patch'
REFUSE = """
import base64, sys
import bcrypt
from sushy_tools.emulator import main

digest = bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()
open('users', 'w').write(f'admin:{digest}')
main.app.configure(extra_config={
    'SUSHY_EMULATOR_FAKE_DRIVER': True,
    'SUSHY_EMULATOR_STATE_DIR': '.',
    'SUSHY_EMULATOR_AUTH_FILE': 'users',
    'SUSHY_EMULATOR_ALLOWED_INSTANCES': ['other'],
})
for given in (b'admin:secret', b'nobody:secret', b'none', b'admin:a\\0b'):
    token = base64.b64encode(given).decode()
    print(main.app.test_client().get(
        '/redfish/v1/Systems/fake', headers={'Authorization': f'Basic {token}'}
    ).status_code)
"""

CONFORMANCE = ROOT / 'doc/source/contributor/sushy-tools-conformance.patch'
RENDER = """
import json
from sushy_tools.emulator import main

main.app.config['SUSHY_EMULATOR_FAKE_DRIVER'] = True
main.app.config['SUSHY_EMULATOR_STATE_DIR'] = '.'
client, found, ahead = main.app.test_client(), {}, ['/redfish/v1/']

def links(value):
    if isinstance(value, dict):
        if '@odata.id' in value:
            yield value['@odata.id'].partition('#')[0]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from links(part)

while ahead:
    uri = ahead.pop()
    if uri not in found:
        response = client.get(uri)
        found[uri] = response.status_code
        body = json.loads(response.get_data())
        assert '@Redfish.Copyright' not in body, uri
        ahead += links(body)
print({uri for uri, status in found.items() if status != 200}, len(found))
"""

LOAD = """
from sushy_tools.emulator import main
print('hawkfish' in main.app.blueprints)
"""

INSTALLED = pathlib.Path(sushy_tools.__file__).parents[1]
INTERNALS = 'tests/unit/test_internals.py'


def oldest_release():
    """The oldest sushy-tools that requirements.txt allows."""
    lines = (ROOT / 'requirements.txt').read_text().splitlines()
    (line,) = [line for line in lines if line.startswith('sushy-tools')]
    requirement = requirements.Requirement(line.partition('#')[0])
    (bound,) = [s for s in requirement.specifier if s.operator == '>=']
    return bound.version


@pytest.fixture
def release(request, pytestconfig, tmp_path):
    """The folder of one release of sushy-tools, without what it requires."""
    if request.param == 'installed':
        return INSTALLED
    version = oldest_release()
    # Kept with the cache of pytest, so that only the first run downloads it.
    kept = pytestconfig.cache.mkdir('sushy-tools') / version
    if not kept.exists():
        new = tmp_path / version
        pip(
            *('install', '--quiet', '--no-deps', '--no-compile'),
            *('--target', new, f'sushy-tools=={version}'),
        )
        shutil.move(new, kept)
    return kept


@pytest.mark.parametrize('release', ['oldest', 'installed'], indirect=True)
def test_internals(release):
    """What is relied on of the insides is there in every release."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(('PYTEST_', 'PYTHONPATH', 'SUSHY_EMULATOR_'))
    }
    if release != INSTALLED:
        environment['PYTHONPATH'] = str(release)

    def run(*command):
        return subprocess.run(
            [sys.executable, *command],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=ROOT,
            env=environment,
        )

    used = run('-c', 'import sushy_tools; print(sushy_tools.__file__)')
    done = run('-m', 'pytest', '-q', '-p', 'no:cacheprovider', INTERNALS)

    assert pathlib.Path(used.stdout.strip()).is_relative_to(release)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ' skipped' not in done.stdout, done.stdout


@pytest.fixture
def load(tmp_path):
    """Import the changed emulator with a configuration."""
    if importlib.metadata.version('sushy-tools') != MADE_ON:
        pytest.skip(f'the change is made on sushy-tools {MADE_ON}')
    installed = pathlib.Path(sushy_tools.__file__).parent
    shutil.copytree(installed, tmp_path / 'sushy_tools')
    subprocess.run(
        ['git', 'apply', '--include=sushy_tools/emulator/*', PATCH],
        cwd=tmp_path,
        check=True,
    )
    config = tmp_path / 'emulator.conf'

    def run(text):
        config.write_text(text)
        return subprocess.run(
            [sys.executable, '-c', LOAD],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={
                **os.environ,
                'PYTHONPATH': str(tmp_path),
                'SUSHY_EMULATOR_CONFIG': str(config),
            },
        )

    return run


def test_extension_is_loaded_by_name(load):
    """The plugin is there with one name in the configuration."""
    done = load("SUSHY_EMULATOR_EXTENSIONS = ['hawkfish']\n")

    assert done.stdout == 'True\n', done.stderr


def test_nothing_is_loaded_by_itself(load):
    """An extension that is only installed changes nothing."""
    done = load('')

    assert done.stdout == 'False\n', done.stderr


def test_beside_activate(load):
    """Who has both the name and the line has the plugin once."""
    done = load(
        'import hawkfish_plugin; hawkfish_plugin.activate()\n'
        "SUSHY_EMULATOR_EXTENSIONS = ['hawkfish']\n"
    )

    assert done.stdout == 'True\n', done.stderr


def test_unknown_extension(load):
    """A name that nobody registered stops the emulator, and is told."""
    done = load("SUSHY_EMULATOR_EXTENSIONS = ['fishhawk']\n")

    assert done.returncode == 1
    assert 'not installed: fishhawk' in done.stderr


def test_refusals_are_as_intended(tmp_path):
    """With the other change, nothing that is refused is a crash."""
    if importlib.metadata.version('sushy-tools') != MADE_ON:
        pytest.skip(f'the change is made on sushy-tools {MADE_ON}')
    installed = pathlib.Path(sushy_tools.__file__).parent
    shutil.copytree(installed, tmp_path / 'sushy_tools')
    subprocess.run(['git', 'apply', REFUSALS], cwd=tmp_path, check=True)

    done = subprocess.run(
        [sys.executable, '-c', REFUSE],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(tmp_path)},
    )

    assert done.stdout.split() == ['404', '401', '400', '401'], done.stderr


def test_what_is_rendered_leads_somewhere(tmp_path):
    """With the third change, only the storage is dead that needs a driver."""
    if importlib.metadata.version('sushy-tools') != MADE_ON:
        pytest.skip(f'the change is made on sushy-tools {MADE_ON}')
    installed = pathlib.Path(sushy_tools.__file__).parent
    shutil.copytree(installed, tmp_path / 'sushy_tools')
    subprocess.run(['git', 'apply', CONFORMANCE], cwd=tmp_path, check=True)

    done = subprocess.run(
        [sys.executable, '-c', RENDER],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(tmp_path)},
    )

    dead, _, count = done.stdout.rpartition(' ')
    assert dead.endswith("/Storage'}") and dead.count("'") == 2, done
    assert int(count) > 20
