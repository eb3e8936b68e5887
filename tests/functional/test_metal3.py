# SPDX-License-Identifier: Apache-2.0
"""
The recipe for Metal3's image, without a container engine.

The steps of the Containerfile run in a fresh environment that has what the
image has. The emulator then runs where nothing of the hypervisor is to be
seen but the folder of its socket, and no program but those of Python.
"""

import os
import pathlib
import shlex
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests import packages
from tests.functional.conftest import SMALL
from tests.functional.emulator import Emulator
from tests.lab import roots
from tests.lab.host import SOCKET, Host

pytestmark = pytest.mark.once

RECIPE = packages.ROOT / 'etc/metal3/Containerfile'
IMAGE_HAS = ('sushy-tools', 'libvirt-python')

# What a container has of its host: one folder, at a place of its own.
CONTAINED = """\
set -e
mkdir -p {inside}
mount --bind {outside} {inside}
mount -t tmpfs none {lab}
export PATH={programs}
# The script sushy-emulator does the same; links bring no scripts.
exec python -m sushy_tools.emulator.main --debug \
    --config {folder}/conf.py --port {port}
"""


def instructions(kind: str) -> list[str]:
    """The arguments of each instruction of the recipe of one *kind*."""
    lines = RECIPE.read_text().splitlines()
    return [line.partition(' ')[2] for line in lines if line.startswith(kind)]


@pytest.fixture(scope='module')
def image(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """An environment in which the RUN lines have been run."""
    folder = tmp_path_factory.mktemp('image')
    site = packages.make_environment(folder / 'venv')
    packages.link(IMAGE_HAS, site)
    wheel = packages.build_wheel(tmp_path_factory.mktemp('wheel'))
    shutil.copy(wheel, folder)
    # The image gets these from the network; see tests/packages.py.
    required = (packages.ROOT / 'requirements.txt').read_text().splitlines()
    packages.link([line.partition('#')[0] for line in required], site)
    for line in instructions('RUN '):
        subprocess.run(
            line.replace('/tmp/', f'{shlex.quote(str(folder))}/'),
            shell=True,
            check=True,
            capture_output=True,
            env={
                'PATH': f'{folder}/venv/bin:{os.environ["PATH"]}',
                'PIP_NO_INDEX': '1',
            },
        )
    return folder / 'venv/bin'


@pytest.fixture
def contained(
    image: pathlib.Path, folder: pathlib.Path, host: Host
) -> Iterator[Emulator]:
    """The emulator, as the container would run it."""
    outside = host.path(SOCKET).parent
    inside = folder / 'libvirt'
    uri = f'qemu+unix:///system?socket={inside}/{pathlib.Path(SOCKET).name}'
    environment = dict(line.split('=', 1) for line in instructions('ENV '))
    emulator = Emulator(
        folder,
        uri,
        **{
            name: value.replace('/root/sushy', str(folder))
            for name, value in environment.items()
        },
    )
    (folder / 'conf.py').write_text(
        f'SUSHY_EMULATOR_LIBVIRT_URI = {uri!r}\n'
        f'SUSHY_EMULATOR_STATE_DIR = {str(folder)!r}\n'
        "SUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'\n"
        'import hawkfish_plugin; hawkfish_plugin.activate()\n'
    )
    script = CONTAINED.format(
        inside=inside,
        outside=outside,
        lab=roots.lab_dir(),
        programs=image,
        folder=folder,
        port=emulator.port,
    )
    emulator.command = [
        '/usr/bin/unshare',
        '--mount',
        '--propagation',
        'private',
        '/bin/sh',
        '-c',
        script,
    ]
    emulator.start()
    yield emulator
    emulator.stop()


def test_nothing_but_the_socket(make_system, contained, image):
    """Create, revert and delete need neither an image nor qemu-img."""
    seen = pathlib.Path(f'/proc/{contained.process.pid}/root')
    assert list(seen.joinpath(str(roots.lab_dir())[1:]).iterdir()) == []
    assert not (image / 'qemu-img').exists()
    system = make_system(**SMALL)

    contained.create(system.uuid, Name='clean')
    contained.revert(system.uuid, 'clean')
    contained.delete(system.uuid, 'clean')

    assert system.leftovers() == []
    # The state is in the folder that is mounted.
    assert list((contained.folder / 'hawkfish').glob('*/*.sqlite*'))
