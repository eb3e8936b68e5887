# SPDX-License-Identifier: Apache-2.0
"""
The ``hawkfish`` program: its words, its shell, its usage errors.

Long, as whatever a terminal or a shell does to it stands together.
"""

import logging
import os
import pty
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time

import bcrypt
import pexpect
import pytest
from sushy_tools.emulator import auth_basic
from werkzeug import serving

from hawkfish_plugin.client import patience
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


def test_an_emulator_that_is_being_started(run, emulator, monkeypatch):
    """A command that follows its start at once waits for it, and says so."""
    # What is muted here is the server, which runs in this process.
    monkeypatch.setattr(patience.LOG, 'parent', logging.getLogger())
    monkeypatch.setattr(patience, 'SECONDS', 0.1)
    monkeypatch.setattr(patience, 'LOCAL_SECONDS', 60)
    port = free_port()
    started = []

    def start():
        server = serving.make_server('127.0.0.1', port, emulator.app)
        started.append(server)
        server.serve_forever()

    threading.Timer(0.5, start).start()
    status, _, err = run('--url', f'http://127.0.0.1:{port}', 'system', 'list')
    started[0].shutdown()

    assert status == 0, err
    told = f'Waiting for the service at http://127.0.0.1:{port} to start.\n'
    assert err == told


def test_the_wait_for_a_start_ends(run, monkeypatch):
    """Nothing listens there, however long one waits."""
    # What is muted here is the server, which runs in this process.
    monkeypatch.setattr(patience.LOG, 'parent', logging.getLogger())
    monkeypatch.setattr(patience, 'SECONDS', 0.1)
    monkeypatch.setattr(patience, 'LOCAL_SECONDS', 0.3)

    status, _, err = run('--url', 'http://[::1]:1/', 'system', 'list')

    assert status == 1
    assert err.count('Waiting for the service at') == 1
    assert 'Connection refused' in err


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


def test_a_list_loads_what_it_needs(emulator):
    """What other commands and the emulator need costs a list no time."""
    script = (
        'import atexit, sys\n'
        'from hawkfish_plugin.cli import app\n'
        "others = {'cmd2', 'flask', 'humanfriendly', 'isodate',\n"
        "    'jsonschema', 'oslo_config', 'pytimeparse', 'rich',\n"
        "    'sushy_tools', 'yaml', 'zstandard', 'hawkfish_plugin.plugin',\n"
        "    'hawkfish_plugin.cli.backups',\n"
        "    'hawkfish_plugin.cli.completion',\n"
        "    'hawkfish_plugin.cli.groups', 'hawkfish_plugin.cli.schedules'}\n"
        'atexit.register(lambda: print(others & set(sys.modules)))\n'
        f"app.main(['--url', '{emulator.url}', 'snaps-ls', 'fake'])\n"
    )
    done = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True
    )

    assert done.stdout.endswith('set()\n'), done.stdout


def test_help_of_a_command(run):
    """``--help`` after a command explains that command."""
    status, out, _ = run('snapshot', 'create', '--help')

    assert not status
    assert '--no-memory' in out


@pytest.mark.parametrize(
    'typed, told',
    [
        (
            ['--hurl', 'http://x', 'snaps-ls'],
            "'--hurl' is not an option of hawkfish. Did you mean: --url",
        ),
        (['--zzz=1'], "'--zzz' is not an option of hawkfish. See"),
        (['zzz'], "'zzz' is not a hawkfish command. There are: backup, event"),
    ],
)
def test_what_is_no_word_of_the_program(run, typed, told):
    """A line tells what it was taken for, and what there is."""
    status, out, err = run(*typed)

    assert (status, out) == (2, '')
    assert err.startswith(told)
    assert err.endswith("See 'hawkfish --help'.\n")


@pytest.mark.parametrize('words', ['snapshot', 'group snapshot'])
def test_the_beginning_of_a_command(run, words):
    """All that it may go on with is told, and it stays an error."""
    status, out, err = run(*words.split())

    assert (status, out) == (2, '')
    for verb in ('create', 'delete', 'list', 'revert', 'set', 'show', 'tree'):
        assert f'  {words} {verb}  ' in err


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
    assert 'a name' in err


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


@pytest.mark.parametrize(
    'line, offered',
    [
        ('snapshot re', ['revert']),
        ('snapshot revert fak', ['fake']),
        ('snapshot revert fake a', ['a one', 'ab']),
        ('snapshot revert fake ab --power O', ['Off', 'On']),
        ('snapshot create fake --na', ['--name']),
        ('group sh', ['show']),
        ('no such thing ', []),
        ("snapshot revert 'fake", []),
    ],
)
def test_completion(hawkfish, emulator, line, offered):
    """Commands, options, their values, systems and snapshots are offered."""
    for name in ('ab', 'a one'):
        emulator.created(Name=name)
    typed = f'hawkfish --url {emulator.url} {line}'

    assert hawkfish('complete', '--line', typed) == (
        0,
        ''.join(f'{word}\n' for word in offered),
        '',
    )


def test_completion_never_prompts():
    """Nor does it wait for a service that is not there."""
    url = f'http://127.0.0.1:{free_port()}'
    terminal = pexpect.spawn(
        PROGRAM[0],
        [
            *PROGRAM[1:],
            'complete',
            '--line',
            f'hawkfish --url {url} --username me snaps-ls ',
        ],
        encoding='utf-8',
        timeout=60,
    )
    terminal.expect(pexpect.EOF)
    terminal.close()

    assert (terminal.exitstatus, terminal.before) == (0, '')


def test_completion_does_not_wait(run):
    """What refuses a connection may be starting, but TAB is pressed again."""
    url = f'http://127.0.0.1:{free_port()}'
    line = f'hawkfish --url {url} snaps-ls '
    began = time.monotonic()

    assert run('complete', '--line', line) == (0, '', '')
    assert time.monotonic() - began < patience.SECONDS


@pytest.mark.skipif(not shutil.which('zsh'), reason='zsh is not installed')
@pytest.mark.parametrize('edited', ['{}', 'cd /tmp && {}', 'X=1 {}'])
def test_completion_in_zsh(emulator, tmp_path, edited):
    """The line that is edited may have more than the command."""
    script = subprocess.run(
        [*PROGRAM, 'complete', '--shell', 'zsh'],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    emulator.created(Name='clean')
    wrapper = tmp_path / 'hawkfish'
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.join(PROGRAM)} "$@"\n')
    wrapper.chmod(0o755)
    (tmp_path / 'script').write_text(script)
    zsh = pexpect.spawn(
        'zsh',
        ['-f', '-i'],
        env={
            **os.environ,
            'PATH': f'{tmp_path}:{os.environ["PATH"]}',
            'PS1': 'ready> ',
            'TERM': 'dumb',
        },
        encoding='utf-8',
        timeout=60,
    )
    zsh.expect_exact('ready> ')
    zsh.sendline(f'autoload -U compinit; compinit -D; . {tmp_path}/script')
    zsh.expect_exact('ready> ')
    typed = f'hawkfish --url {emulator.url} snaps-revert fake cl'
    zsh.send(f'{edited.format(typed)}\t')
    zsh.expect_exact('fake clean')
    zsh.close(force=True)


@pytest.mark.skipif(not shutil.which('fish'), reason='fish is not installed')
@pytest.mark.parametrize(
    'typed, offered',
    [
        ('snapshot re', ['revert']),
        ('snaps-create fake --descr', ['--description']),
        ('snaps-create fa', ['fake']),
        ('snaps-revert fake a', ['a one', 'ab']),
        ('snaps-revert fake a\\ ', ['a one']),
    ],
)
def test_completion_in_fish(emulator, tmp_path, typed, offered):
    """Commands, options, systems and snapshots, with blanks as well."""
    for name in ('ab', 'a one'):
        emulator.created(Name=name)
    wrapper = tmp_path / 'hawkfish'
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.join(PROGRAM)} "$@"\n')
    wrapper.chmod(0o755)
    line = f'hawkfish --url {emulator.url} {typed}'
    done = subprocess.run(
        [
            *('fish', '--no-config', '-c'),
            f'hawkfish complete --shell fish | source; '
            f'complete -C {shlex.quote(line)}',
        ],
        env={
            **os.environ,
            'HOME': str(tmp_path),
            'PATH': f'{tmp_path}:{os.environ["PATH"]}',
        },
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.stderr == ''
    assert sorted(set(done.stdout.splitlines())) == offered


def test_completion_in_bash(emulator):
    """The script needs no other package, and quotes what it offers."""
    emulator.created(Name='a one')
    scripts = {
        shell: subprocess.run(
            [*PROGRAM, 'complete', '--shell', shell],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for shell in ('bash', 'zsh', 'fish')
    }
    line = f'hawkfish --url {emulator.url} snaps-revert fake a'
    ask = (
        f'hawkfish() {{ {shlex.join(PROGRAM)} "$@"; }}\n'
        f'COMP_LINE={shlex.quote(line)} COMP_POINT={len(line)}\n'
        '_hawkfish; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    offered = subprocess.run(
        ['bash', '-c', scripts['bash'] + ask], capture_output=True, text=True
    )

    assert offered.stdout == 'a\\ one\n', offered.stderr
    assert all('complete --line' in script for script in scripts.values())


def test_the_rest_of_verbose(hawkfish, emulator):
    """``-v`` shows the requests, and nothing of Python."""
    _, _, err = hawkfish('-v', 'snaps-ls', emulator.system)

    (line,) = [x for x in err.splitlines() if not x.startswith('There are')]
    assert '"GET /redfish/v1/Systems/' in line


def test_the_rest_of_verbose_of_several_requests(hawkfish, emulator):
    """That the connection was closed in between is no request."""
    _, _, err = hawkfish('-v', 'snaps-create', emulator.system)

    lines = err.splitlines()
    assert len(lines) > 1
    assert {line.split(' ')[1] for line in lines} == {'"POST', '"GET'}


def test_a_wrong_option_of_the_program(hawkfish):
    """A line, and not the usage before it."""
    status, _, err = hawkfish('--url', 'nonsense', 'system', 'list')

    assert status == 2
    assert 'usage:' not in err
    assert "error: argument --url: 'nonsense' does not" in err


def test_no_home(emulator, tmp_path):
    """A user without a home directory is told, if it is needed."""
    program = PROGRAM[2].replace(
        'import sys;',
        'import sys, pwd;'
        'pwd.getpwuid = lambda uid: (_ for _ in ()).throw(KeyError(uid));',
    )
    kept = {k: v for k, v in os.environ.items() if 'HOME' not in k}

    def run_without(*words):
        return subprocess.run(
            [*PROGRAM[:2], program, *words],
            capture_output=True,
            text=True,
            env=kept,
            # stevedore takes "~" for the name of a folder then.
            cwd=tmp_path,
        )

    plain = run_without('--url', emulator.url, 'system', 'list')
    named = run_without('--cloud', 'lab', 'system', 'list')

    assert plain.returncode == 0, plain.stderr
    assert (named.returncode, named.stderr.count('\n')) == (1, 1)
    assert 'no home directory' in named.stderr


@pytest.mark.parametrize(
    'words', [('event', 'watch', '--after', '0'), ('system', 'list')]
)
def test_a_pipe_that_closes(emulator, words):
    """The command ends without a word, and need not write to notice."""
    emulator.created(Name='a')
    program = subprocess.Popen(
        [*PROGRAM, '--url', emulator.url, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    if words[0] == 'event':
        program.stdout.readline()
    program.stdout.close()

    _, told = program.communicate(timeout=60)

    assert (program.returncode, told) == (141, b'')


def test_the_task_of_the_emulator_itself(hawkfish):
    """It has ended, which is no sign of a missing plugin."""
    status, out, err = hawkfish('task', 'wait', '42')

    assert (status, 'Completed' in out, err) == (0, True, '')


def test_tab_in_the_shell(emulator):
    """TAB completes commands, systems and snapshots."""
    emulator.created(Name='a-snapshot')
    shell = pexpect.spawn(
        PROGRAM[0],
        [*PROGRAM[1:], '--url', emulator.url],
        encoding='utf-8',
        timeout=60,
        dimensions=(24, 80),
    )
    shell.expect(r'\(hawkfish\)')
    # What is shown is what is new on the screen.
    shell.send('snaps-sho\t')
    shell.expect('show|w')
    shell.send(' fake a-sn\t')
    shell.expect('snapshot|apshot')
    shell.send('\r')
    shell.expect('Consistency')
    shell.close(force=True)


@pytest.mark.parametrize(
    'typed, meant',
    [
        (('snapshot', 'lst', 'x'), 'snapshot list'),
        (('snaphot', 'list'), 'snapshot list'),
        (('snapsls',), 'snaps-ls'),
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
