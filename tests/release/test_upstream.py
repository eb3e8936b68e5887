# SPDX-License-Identifier: Apache-2.0
"""The change that is proposed to sushy-tools, applied to a copy of it."""

import importlib.metadata
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
import sushy_tools

ROOT = pathlib.Path(__file__).parents[2]
PATCH = ROOT / 'doc/source/contributor/sushy-tools-extensions.patch'
MADE_ON = '2.2.0'

LOAD = """
from sushy_tools.emulator import main
print('hawkfish' in main.app.blueprints)
"""


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
