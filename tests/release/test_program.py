# SPDX-License-Identifier: Apache-2.0
"""``hawkfish-emulator`` as a program: what it refuses, and where it keeps."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading

import pytest

from tests.served import FAKE_UUID, Served, free_port, is_open
from tests.waiting import wait_for

BIN = pathlib.Path(sys.executable).parent
EMULATOR = str(BIN / 'hawkfish-emulator')


def environment(**ours):
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(('OS_HAWKFISH', 'HAWKFISH', 'SUSHY'))
    }
    return {**kept, **ours}


def start(*options, **ours):
    return subprocess.run(
        [EMULATOR, *options],
        capture_output=True,
        text=True,
        env=environment(**ours),
        timeout=120,
    )


@pytest.mark.parametrize(
    'options, told',
    [
        (['--port', '99999'], '99999 is not a port: it has to be from 1 to'),
        (['--port', 'x'], "argument -p/--port: invalid int value: 'x'"),
        (['--interface', '192.0.2.1'], 'cannot listen at 192.0.2.1, port'),
        (['--nosuch'], 'unrecognized arguments: --nosuch'),
        (['--config', '/nope'], 'cannot read /nope: '),
    ],
)
def test_what_cannot_be(options, told):
    """One line says so at once, and nothing is served."""
    done = start('--fake', *options)

    assert done.returncode
    assert (done.stdout, done.stderr.count('\n')) == ('', 1)
    assert done.stderr.startswith('hawkfish-emulator: ')
    assert told in done.stderr


def test_a_configuration_that_is_no_python(tmp_path):
    path = tmp_path / 'emulator.conf'
    path.write_text('SUSHY_EMULATOR_LISTEN_PORT = = 1')

    done = start('--fake', '--config', str(path))

    assert (done.returncode, done.stderr.count('\n')) == (1, 1)
    assert f'cannot read {path}: invalid syntax' in done.stderr


def test_a_port_that_is_taken():
    with socket.create_server(('127.0.0.1', 0)) as other:
        port = other.getsockname()[1]
        done = start('--fake', '--port', str(port))

    assert (done.returncode, done.stdout) == (1, '')
    assert done.stderr == (
        f'hawkfish-emulator: cannot listen at 127.0.0.1, port {port}: '
        'Address already in use\n'
    )


def test_bindings_that_are_missing(tmp_path):
    """What to install is told, and nothing is served."""
    script = (
        'import importlib.util, sys\n'
        'find = importlib.util.find_spec\n'
        'importlib.util.find_spec = lambda name, *a: (\n'
        '    None if name == "libvirt" else find(name, *a))\n'
        'sys.modules["libvirt"] = None\n'
        'from hawkfish_plugin import plugin\n'
        'sys.argv = ["x", "--libvirt-uri", "qemu:///system"]\n'
        'plugin.main()\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', script],
        capture_output=True,
        text=True,
        env=environment(OS_HAWKFISH__STATE_DIR=str(tmp_path)),
        timeout=120,
    )

    assert (done.returncode, done.stdout) == (1, '')
    assert done.stderr.count('\n') == 1
    assert "pip install 'hawkfish-snapshots[libvirt]'" in done.stderr


def test_version():
    assert start('--version').stdout.startswith('hawkfish-emulator ')


def test_the_help_says_where_it_listens():
    shown = ' '.join(start('--help').stdout.split())

    assert 'Default is 127.0.0.1.' in shown


@pytest.mark.parametrize('end', [signal.SIGTERM, signal.SIGINT])
def test_the_state_goes_with_the_process(tmp_path, end):
    """It is in a folder that the first line names."""
    port = free_port()
    emulator = subprocess.Popen(
        [EMULATOR, '--fake', '--port', str(port)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=environment(TMPDIR=str(tmp_path)),
    )
    told = emulator.stderr.readline()
    threading.Thread(target=emulator.stderr.read, daemon=True).start()
    (folder,) = tmp_path.glob('hawkfish-fake-*')
    assert str(folder) in told
    wait_for(lambda: is_open(port), 'the emulator to come up')

    emulator.send_signal(end)
    emulator.wait(60)

    assert not folder.exists()


# What a container's engine does: the program is the first of its processes,
# and the signal comes from outside.
FIRST = ('unshare', '--pid', '--fork', '--mount-proc', '--kill-child')


@pytest.mark.skipif(os.geteuid() != 0, reason='namespaces are for root')
@pytest.mark.parametrize('driver', ['fake', 'libvirt'])
def test_sigterm_ends_the_first_process(tmp_path, driver):
    """With status 0; what it was doing is recovered by the next start."""
    served = Served(tmp_path, uri='' if driver == 'fake' else 'qemu:///system')
    own = [
        *('--config', str(served.config)),
        *served.options(),
    ]
    served.command = ['hawkfish-emulator', *own]
    if driver == 'fake':
        own += ['--fake-seconds', '600']
    shell = 'echo $$; exec "$@"'
    first = subprocess.Popen(
        [*FIRST, 'sh', '-c', shell, 'sh', EMULATOR, *own],
        env=served.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert first.stdout.readline() == '1\n'
        wait_for(lambda: is_open(served.port), 'the emulator to come up')
        if driver == 'fake':
            assert served.post_create(FAKE_UUID, Name='cut').status_code == 202
            wait_for(
                lambda: served.tasks()[0]['TaskState'] == 'Running',
                'the operation to begin',
            )
        children = f'/proc/{first.pid}/task/{first.pid}/children'
        (inner,) = pathlib.Path(children).read_text().split()

        os.kill(int(inner), signal.SIGTERM)

        assert first.wait(20) == 0
    finally:
        first.kill()
        first.wait()
    if driver == 'fake':
        try:
            served.start().wait_ended()
            # What had noted no step yet is done after all.
            states = {s['SnapshotState'] for s in served.snapshots(FAKE_UUID)}
            assert states <= {'Ready'}
        finally:
            served.stop()
