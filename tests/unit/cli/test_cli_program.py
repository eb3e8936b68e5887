# SPDX-License-Identifier: Apache-2.0
"""The ``hawkfish`` program: its words, its shell, its usage errors."""

import os
import pty
import signal
import subprocess
import sys
import threading

import bcrypt
import pytest
from sushy_tools.emulator import auth_basic
from werkzeug import serving

from tests.served import Served, free_port
from tests.unit.commands import PROGRAM, read_terminal

# Of "secret", with the least work bcrypt accepts.
SECRET = '$2b$04$yCh5mfgPKAuFyEtypE5cueoZR.9.eKOSD.cuc5.A4hzO0DJZ6iGQm'


def serve(wsgi_app):
    server = serving.make_server('127.0.0.1', 0, wsgi_app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


# What goes wrong before the service can answer


def test_usage_errors_are_2(hawkfish, emulator):
    """What the user typed wrong never reaches the service."""
    for args in (
        ('snapshot', 'revert', emulator.system),
        ('snapshot', 'revert', emulator.system, 'a', '--power', 'Up'),
        ('snapshot', 'list', ''),
        ('snapshot', 'create', '--wait', emulator.system),
        ('snapshot', 'create', emulator.system, '--wait', '0'),
        ('snapshot', 'creat', 'e', '--x'),
        ('--url', 'localhost:8000', 'task', 'list'),
    ):
        status, out, err = hawkfish(*args)

        assert (status, out) == (2, ''), args
        assert err, args


def test_unreachable_emulator(run):
    """Where nothing listens, the URL and what to do are told."""
    url = f'http://127.0.0.1:{free_port()}'

    status, out, err = run('--url', url, 'snapshot', 'list', 'x')

    assert (status, out) == (1, '')
    assert f'{url}: Connection refused' in err
    assert '--url or HAWKFISH_URL' in err


def test_an_emulator_that_is_being_started(run, emulator):
    """A command that follows its start at once waits for it."""
    port = free_port()
    started = []

    def start():
        server = serving.make_server('127.0.0.1', port, emulator.app)
        started.append(server)
        server.serve_forever()

    threading.Timer(0.3, start).start()
    status, _, err = run('--url', f'http://127.0.0.1:{port}', 'system', 'list')
    started[0].shutdown()

    assert status == 0, err


def test_url_from_the_environment(run, emulator, monkeypatch):
    """HAWKFISH_URL says where the emulator is."""
    monkeypatch.setenv('HAWKFISH_URL', emulator.url)

    assert run('snapshot', 'list', emulator.system)[0] == 0


def test_emulator_without_the_plugin(run, tmp_path):
    """A stock emulator is told apart from a missing snapshot."""
    stock = Served(tmp_path, preamble='')
    try:
        stock.start()
        status, out, err = run('--url', stock.url, 'snapshot', 'list', 'x')
    finally:
        stock.stop()

    assert (status, out) == (1, '')
    assert 'this emulator has no HawkFish plugin activated' in err


def test_credentials(run, emulator, tmp_path):
    """Missing and wrong credentials are told apart; right ones work."""
    users = tmp_path / 'htpasswd'
    users.write_text(f'admin:{SECRET}\n')
    guarded = auth_basic.BasicAuthMiddleware(emulator.app, str(users))
    server = serve(guarded)
    url = f'http://127.0.0.1:{server.port}'
    listing = ('snapshot', 'list', emulator.system)

    missing = run('--url', url, *listing)
    wrong = run(
        *('--url', url, '--username', 'admin', '--password', 'no'), *listing
    )
    right = run(
        *('--url', url, '--username', 'admin', '--password', 'secret'),
        *listing,
    )
    server.shutdown()

    assert missing[0] == wrong[0] == 1
    assert 'asks for credentials' in missing[2]
    assert 'refuses the credentials of user admin' in wrong[2]
    assert right[0] == 0


def test_credentials_beyond_ascii(run, emulator, tmp_path):
    """A password is sent as the users file of the emulator has it."""
    word = 'p\u00e4ss\u6f22'
    users = tmp_path / 'htpasswd'
    users.write_bytes(
        b'admin:' + bcrypt.hashpw(word.encode(), bcrypt.gensalt(4)) + b'\n'
    )
    server = serve(auth_basic.BasicAuthMiddleware(emulator.app, str(users)))

    status, _, err = run(
        *('--url', f'http://127.0.0.1:{server.port}', '--username', 'admin'),
        *('--password', word, 'snapshot', 'list', emulator.system),
    )
    server.shutdown()

    assert status == 0, err


def test_not_redfish(run):
    """Something else that answers is not taken for an emulator."""

    def greet(environ, start_response):
        start_response('200 OK', [('Content-Type', 'text/html')])
        return [b'<h1>Welcome</h1>']

    server = serve(greet)
    url = f'http://127.0.0.1:{server.port}'

    status, out, err = run('--url', url, 'snapshot', 'list', 'x')
    server.shutdown()

    assert (status, out) == (1, '')
    assert f'{url} does not speak Redfish' in err


# The program


def test_help_is_quick():
    """Asking for help loads neither sushy nor requests."""
    script = (
        'import atexit, sys\n'
        'from hawkfish_plugin.cli import app\n'
        "slow = {'sushy', 'requests', 'cmd2'}\n"
        'atexit.register(lambda: print(slow & set(sys.modules)))\n'
        "app.main(['--help'])\n"
    )
    done = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True
    )

    assert done.stdout.endswith('set()\n')
    for name in ('snapshot create', 'snaps-ls', 'task wait', '--ca-file'):
        assert name in done.stdout


def test_help_of_a_command(run):
    """``--help`` after a command explains that command."""
    status, out, _ = run('snapshot', 'create', '--help')

    assert not status
    assert '--no-memory' in out


def test_interrupted_wait_leaves_the_task(emulator):
    """Ctrl-C at a terminal ends the wait and says how to go on."""
    emulator.behaviour.seconds = 20
    terminal, stderr = pty.openpty()
    program = subprocess.Popen(
        [*PROGRAM, '--url', emulator.url, 'snaps-create', emulator.system],
        stdout=subprocess.PIPE,
        stderr=stderr,
    )
    os.close(stderr)
    # Only a command that waits shows progress.
    shown = read_terminal(terminal, until='%')

    program.send_signal(signal.SIGINT)
    shown += read_terminal(terminal, until='task wait')
    out, _ = program.communicate(timeout=20)
    os.close(terminal)

    assert (program.returncode, out) == (130, b'')
    assert f'hawkfish --url {emulator.url} task wait' in shown
    assert '[#' in shown or '[ ' in shown
    tasks = emulator.services.tasks.list()
    assert any(task.active for task in tasks)


def run_program(emulator, text):
    """Run ``hawkfish`` with *text* as standard input, as a script does."""
    return subprocess.run(
        [*PROGRAM, '--url', emulator.url],
        input=text,
        capture_output=True,
        text=True,
    )


def test_commands_from_standard_input(emulator):
    """A script's commands run one after the other, and their worst counts."""
    good = run_program(
        emulator,
        f'snaps-create {emulator.system} --name a -f value -c Name\n'
        f'snapshot list {emulator.system} -f value -c Name\n',
    )
    bad = run_program(
        emulator,
        f'snapshot show {emulator.system} b\n'
        f'snapshot list {emulator.system} -f value -c Name\n',
    )

    assert (good.returncode, good.stdout.split()) == (0, ['a', 'a'])
    assert (bad.returncode, bad.stdout.split()) == (1, ['a'])
    assert 'There is no snapshot' in bad.stderr


def test_a_quoted_name_is_one(emulator):
    """A name with a blank is one name in a script as well."""
    for name in ('pre', 'upgrade', 'pre upgrade'):
        emulator.created(Name=name)

    done = run_program(
        emulator,
        f"snaps-rm {emulator.system} 'pre upgrade'\n"
        f'snapshot create {emulator.system} --name x '
        "--description 'a --lock' --wait\n"
        f'snapshot list {emulator.system} -f value -c Name -c Locked\n',
    )

    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert lines[-3:] == ['pre False', 'upgrade False', 'x False']


def test_a_usage_error_in_a_script(emulator):
    """What cannot be understood is told apart from what is refused."""
    done = run_program(emulator, f'snapshot show {emulator.system}\n')

    assert done.returncode == 2
    assert 'are required: ' in done.stderr


@pytest.mark.parametrize(
    'words',
    [
        ('snapshot', 'show', 'x', 'a/b'),
        ('snapshot', 'list', '..'),
        ('task', 'show', '.'),
    ],
)
def test_a_name_that_is_a_path(run, emulator, words):
    """Nothing else than what was named is shown, or deleted."""
    status, out, err = run('--url', emulator.url, *words)

    assert (status, out) == (2, '')
    assert 'cannot be a name' in err


def test_a_new_name_that_breaks_a_rule(hawkfish, emulator):
    """The rule is told."""
    status, _, err = hawkfish('snaps-create', emulator.system, '--name', 'a/b')

    assert (status, 'it contains a slash' in err) == (1, True)


def test_shell_on_a_terminal(emulator):
    """Without a command there is a prompt, which takes commands."""
    terminal, other = pty.openpty()
    program = subprocess.Popen(
        [*PROGRAM, '--url', emulator.url],
        stdin=other,
        stdout=other,
        stderr=other,
        start_new_session=True,
    )
    os.close(other)
    read_terminal(terminal, until='(hawkfish)')
    os.write(terminal, f'snaps-create {emulator.system} --name a\r'.encode())
    read_terminal(terminal, until='Ready')
    os.write(terminal, b'quit\r')

    assert program.wait(20) == 0

    os.close(terminal)


def test_completion(tmp_path):
    """What ``hawkfish complete`` prints completes commands and options."""
    done = subprocess.run(
        [*PROGRAM, 'complete'], capture_output=True, text=True
    )
    script = """
_get_comp_words_by_ref() {
    words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
    cur=${words[cword]} prev=${words[cword - 1]}
}
complete_line() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _hawkfish
    echo "${COMPREPLY[*]}"
}
complete_line hawkfish snapshot re
complete_line hawkfish snapshot create --na
"""
    completed = subprocess.run(
        ['bash', '-c', done.stdout + script], capture_output=True, text=True
    )

    assert completed.stdout.split() == ['revert', '--name']


@pytest.mark.parametrize(
    'typed, meant',
    [
        (('snapshot', 'lst', 'x'), 'snapshot list'),
        (('snaphot', 'list'), 'snapshot list'),
        (('snapsls',), 'snaps-ls'),
        (('task',), 'task wait'),
    ],
)
def test_did_you_mean(hawkfish, typed, meant):
    """A slip of the finger gets the command that was meant."""
    status, out, err = hawkfish(*typed)

    assert (status, out) == (2, '')
    assert meant in err.partition('Did you mean: ')[2]


def test_commands_can_be_shortened(data, emulator):
    """The beginning of each word is enough where it is clear."""
    emulator.created(Name='a')

    assert [s['Name'] for s in data('snap', 'li', emulator.system)] == ['a']
