# SPDX-License-Identifier: Apache-2.0
"""Where the commands look for a service and for credentials."""

import argparse
import os
import pty
import subprocess
import sys

import pytest

from hawkfish_plugin.cli import app, connection, errors

CLOUDS = """
clouds:
  lab:
    auth_type: http_basic
    auth:
      endpoint: https://lab:8000
      username: admin
      password: 12345
    cacert: /etc/lab.pem
  open:
    auth:
      endpoint: http://open:8000
  blind:
    auth:
      endpoint: https://blind:8000
    cacert: /etc/lab.pem
    verify: false
"""


@pytest.fixture(autouse=True)
def no_environment(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith('HAWKFISH_'):
            monkeypatch.delenv(name)
    monkeypatch.setenv('XDG_CONFIG_HOME', str(tmp_path))
    monkeypatch.setattr(sys, 'stdin', None)


@pytest.fixture
def clouds():
    """Write clouds.yaml, readable by its owner alone."""

    def write(text=CLOUDS):
        path = connection.clouds_file()
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
        return path

    return write


def connect(*typed):
    parser = argparse.ArgumentParser()
    connection.add_options(parser)
    return connection.connect(vars(parser.parse_args(typed)))


def test_default():
    """Without a word the emulator of this machine is meant."""
    assert connect() == connection.Connection(connection.DEFAULT_URL)


def test_environment(monkeypatch):
    """Each variable is read."""
    monkeypatch.setenv('HAWKFISH_URL', 'https://a:1')
    monkeypatch.setenv('HAWKFISH_USERNAME', 'u')
    monkeypatch.setenv('HAWKFISH_PASSWORD', 'p')
    monkeypatch.setenv('HAWKFISH_CACERT', '/ca.pem')

    found = connect()

    assert found == connection.Connection('https://a:1', 'u', 'p', '/ca.pem')

    monkeypatch.setenv('HAWKFISH_INSECURE', 'yes')

    assert connect().verify is False


def test_options_beat_the_environment(monkeypatch):
    """What is typed holds."""
    monkeypatch.setenv('HAWKFISH_USERNAME', 'u')
    monkeypatch.setenv('HAWKFISH_PASSWORD', 'p')
    monkeypatch.setenv('HAWKFISH_CACERT', '/ca.pem')

    found = connect(
        *('--url', 'https://b:1', '--username', 'v', '--password', 'q'),
        '--insecure',
    )

    assert found == connection.Connection('https://b:1', 'v', 'q', False)


def test_clouds(clouds):
    """An entry of the file has all that is needed, in YAML's own types."""
    clouds()

    lab = connect('--cloud', 'lab')

    assert lab == connection.Connection(
        'https://lab:8000', 'admin', '12345', '/etc/lab.pem'
    )
    assert connect('--cloud', 'open').verify is True
    assert connect('--cloud', 'blind').verify is False


def test_cloud_of_the_environment(clouds, monkeypatch):
    """HAWKFISH_CLOUD names an entry, and a URL that is typed beats it."""
    clouds()
    monkeypatch.setenv('HAWKFISH_CLOUD', 'lab')

    assert connect().url == 'https://lab:8000'
    assert connect('--url', 'http://c:1') == connection.Connection(
        'http://c:1'
    )


def test_no_password_reaches_another_service(clouds, monkeypatch):
    """Credentials stay with the service or the user they stand beside."""
    clouds()
    monkeypatch.setenv('HAWKFISH_URL', 'https://a:1')
    monkeypatch.setenv('HAWKFISH_USERNAME', 'u')
    monkeypatch.setenv('HAWKFISH_PASSWORD', 'p')

    assert connect('--cloud', 'open').password is None
    assert connect('--url', 'https://b:1').password is None
    assert connect('--url', 'https://a:1').password == 'p'
    assert connect('--username', 'v').password is None
    assert connect('--cloud', 'lab', '--username', 'v').password is None


@pytest.mark.parametrize(
    'text, told',
    [
        ('clouds: {other: {}}', "no cloud 'lab'; there are: other"),
        ('clouds: [lab]', 'clouds is not a mapping'),
        ('clouds: {lab: {auth: {}}}', 'no endpoint'),
        ('clouds: {lab: {auth: {endpoint: lab}}}', 'no endpoint'),
        ('clouds: {lab: {auth: {}, insecure: true}}', "'insecure'"),
        ('password: "hush', 'is not YAML at line'),
        ('', 'is not a mapping'),
    ],
)
def test_bad_clouds(clouds, text, told):
    """A file that cannot be right says where, and shows no password."""
    path = clouds(text)

    with pytest.raises(errors.CommandError, match=told) as caught:
        connect('--cloud', 'lab')

    assert str(path) in str(caught.value)
    assert 'hush' not in str(caught.value)


def test_no_clouds():
    """A missing file is told by its name."""
    with pytest.raises(errors.CommandError, match='clouds.yaml: No such'):
        connect('--cloud', 'lab')


def test_password_open_to_all(clouds):
    """A password that every user can read is not used."""
    path = clouds()
    path.chmod(0o644)

    with pytest.raises(errors.CommandError, match=f'chmod 600 {path}'):
        connect('--cloud', 'lab')

    assert connect('--cloud', 'open').url == 'http://open:8000'


def test_bad_url_of_the_environment(monkeypatch):
    """A URL that is none is told with the variable that has it."""
    monkeypatch.setenv('HAWKFISH_URL', 'localhost:8000')

    with pytest.raises(errors.CommandError, match='HAWKFISH_URL'):
        connect()


def test_cloud_or_url():
    """Two services at once are a usage error."""
    with pytest.raises(SystemExit) as caught:
        connect('--cloud', 'lab', '--url', 'http://c:1')

    assert caught.value.code == 2


def test_words_are_what_was_typed():
    """They lead to the same service, but never tell the password."""
    parser = argparse.ArgumentParser()
    connection.add_options(parser, 'hawkfish-')
    typed = ['--hawkfish-cloud', 'lab', '--hawkfish-insecure']
    options = parser.parse_args([*typed, '--hawkfish-password', 'hush'])

    assert connection.words(options, 'hawkfish-') == typed


def test_password_is_asked_for():
    """A user at a terminal is asked, and the password is not shown."""
    script = (
        'from tests.unit import test_cli_connection as t\n'
        "print(t.connect('--username', 'u').password == 'hush')\n"
    )
    terminal, other = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, '-c', script],
        stdin=other,
        stdout=subprocess.PIPE,
        stderr=other,
        text=True,
        # getpass prefers the terminal of the session.
        start_new_session=True,
    )
    os.close(other)
    shown = ''
    while 'Password of u at' not in shown:
        shown += os.read(terminal, 4096).decode()
    os.write(terminal, b'hush\n')
    out, _ = program.communicate(timeout=20)
    os.close(terminal)

    assert out == 'True\n'


def test_password_is_in_no_help_and_no_traceback(monkeypatch, capsys):
    """Neither the help nor a failure shown in full tells a password."""
    monkeypatch.setenv('HAWKFISH_PASSWORD', 'hush-a')
    monkeypatch.setenv('HAWKFISH_USERNAME', 'u')
    failing = ('--url', 'http://127.0.0.1:1', '--password', 'hush-b')

    with pytest.raises(SystemExit):
        app.main(['--help'])
    assert app.main(['-vv', '--debug', *failing, 'task', 'list']) == 1
    told = ''.join(capsys.readouterr())

    assert 'HAWKFISH_PASSWORD' in told
    assert 'Traceback' in told
    assert 'hush' not in told
