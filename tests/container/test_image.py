# SPDX-License-Identifier: Apache-2.0
"""
The container image, built from its Containerfile and started.

It needs root, podman and buildah, and takes minutes; ``make container``.  What
the base image is pulled from may not be in reach: then one of the same release
is made with debootstrap.  The steps are run in a changed root, and so is the
command of the image: that needs no namespaces, which not every host allows.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

from tests import packages
from tests.packages import ROOT

FOLDER = ROOT / 'etc/container'
IMAGE = 'localhost/hawkfish-emulator:test'
CONTAINER = 'hawkfish-emulator-test'
STATE = '/var/lib/hawkfish'

# The image has a fixed port, so each run has a network of its own.
STARTED = """
ip link set lo up
exec buildah run --isolation chroot {container} -- sh -euc '
  id -u
  python3 -c "import libvirt; print(libvirt.getVersion() > 9000000)"
  hawkfish-emulator --interface 0.0.0.0 --port 8000 --fake \
      >/tmp/log 2>&1 & emulator=$!
  for attempt in $(seq 120); do
    kill -0 $emulator
    if {health} 2>/dev/null; then break; fi
    sleep 0.5
  done
  {health}
  echo healthy
  hawkfish --url http://127.0.0.1:8000 snaps-create fake --name first
  hawkfish --url http://127.0.0.1:8000 snaps-ls fake
  stat -c "%u %a" {state}/state/fake-*
  kill $emulator
'
"""


def run(*command, **kwargs):
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=900,
        **kwargs,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def make_base(folder: pathlib.Path) -> None:
    """Have the image that ours begins with."""
    text = (FOLDER / 'Containerfile').read_text()
    (base,) = re.findall(r'^FROM (\S+)$', text, re.MULTILINE)
    for attempt in ('exists', 'pull'):
        words = ['image', attempt] if attempt == 'exists' else [attempt]
        done = subprocess.run(
            ['podman', *words, base], capture_output=True, timeout=600
        )
        if done.returncode == 0:
            return
    release = base.partition(':')[2].removesuffix('-slim')
    root = folder / 'root'
    run('debootstrap', '--variant=minbase', release, root)
    archive = folder / 'root.tar'
    run('tar', '-C', root, '-cf', archive, '.')
    shutil.rmtree(root)
    run('podman', 'import', archive, base)


def settings_of_pip() -> list[str]:
    """What the user has told pip of its index, for the build."""
    options = []
    for name, value in os.environ.items():
        if name == 'PIP_CERT':
            options += ['--volume', f'{value}:/run/pip-ca.crt:ro']
            options += ['--env', 'PIP_CERT=/run/pip-ca.crt']
        elif name in ('PIP_INDEX_URL', 'PIP_DEFAULT_TIMEOUT'):
            options += ['--env', f'{name}={value}']
    return options


@pytest.fixture(scope='module')
def image(tmp_path_factory):
    """What is told of the image, once it has been built."""
    folder = tmp_path_factory.mktemp('image')
    context = folder / 'context'
    context.mkdir()
    shutil.copy(FOLDER / 'Containerfile', context)
    sources = folder / 'sources'
    sources.mkdir()
    shutil.copy(packages.build_wheel(sources), context)
    make_base(folder)
    run(
        *('podman', 'build', '--isolation', 'chroot', '--network', 'host'),
        *('--format', 'docker', *settings_of_pip(), '-t', IMAGE, context),
    )
    yield json.loads(run('podman', 'image', 'inspect', IMAGE))[0]
    run('podman', 'rmi', '--force', IMAGE)


@pytest.fixture
def container(image):
    run('buildah', 'from', '--name', CONTAINER, IMAGE)
    yield CONTAINER
    run('buildah', 'rm', CONTAINER)


def health_command(image):
    found = image.get('Healthcheck') or image.get('HealthCheck')
    kind, *words = found['Test']
    assert kind == 'CMD'
    # It stands between single quotes, in a script.
    return ' '.join(
        '"' + word.replace('"', '\\"').replace("'", "'\\''") + '"'
        for word in words
    )


def test_it_serves_snapshots_without_root(image, container):
    """Its health check passes, and libvirt's client is there."""
    script = STARTED.format(
        container=container, health=health_command(image), state=STATE
    )

    told = run('unshare', '--net', 'sh', '-euc', script).splitlines()

    user = image['Config']['User']
    assert user not in ('', '0', 'root')
    assert told[:2] == [user, 'True']
    assert 'healthy' in told
    assert any(' first ' in line for line in told)
    assert told[-1] == f'{user} 700'


def test_the_command_is_for_the_hypervisor_of_the_host(image):
    """Whoever only starts it gets what the compose file relies on."""
    config = image['Config']

    assert config['Entrypoint'] == ['hawkfish-emulator']
    assert 'qemu:///system' in config['Cmd']
    assert STATE in config['Volumes']


def test_the_compose_file_fits_the_image():
    """It has the socket of libvirt, the state, and no rights besides."""
    compose = yaml.safe_load((FOLDER / 'compose.yaml').read_text())
    service = compose['services']['emulator']

    assert service['image'] == IMAGE.rpartition(':')[0]
    assert '/run/libvirt:/run/libvirt' in service['volumes']
    assert f'state:{STATE}' in service['volumes']
    assert service['cap_drop'] == ['ALL']
    assert service['read_only']
