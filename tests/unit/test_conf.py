# SPDX-License-Identifier: Apache-2.0
"""Where options are read from, and that the sample file knows them all."""

import os
import pathlib
import subprocess
import sys

import pytest

from hawkfish_plugin import conf, exceptions

ROOT = pathlib.Path(__file__).parents[2]
SAMPLE = 'etc/hawkfish/hawkfish.conf.sample'
GENERATOR = 'tools/config/hawkfish-config-generator.conf'


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith(('OS_', 'HAWKFISH_')):
            monkeypatch.delenv(name)


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a configuration file, and name it in the environment."""

    def write_file(text):
        path = tmp_path / 'hawkfish.conf'
        path.write_text(text)
        monkeypatch.setenv(conf.FILE_VARIABLE, str(path))

    return write_file


def test_a_file_beats_the_defaults(write):
    """What the file says holds; the rest keeps its default."""
    write('[tasks]\nworkers = 7\n')

    loaded = conf.load()

    assert loaded.tasks.workers == 7
    assert loaded.tasks.keep_completed == 1000


def test_the_environment_beats_the_file(write, monkeypatch):
    """OS_<GROUP>__<OPTION> is stronger than the file."""
    write('[tasks]\nworkers = 7\nqueue_limit = 5\n')
    monkeypatch.setenv('OS_TASKS__WORKERS', '9')

    loaded = conf.load()

    assert loaded.tasks.workers == 9
    assert loaded.tasks.queue_limit == 5


@pytest.mark.parametrize(
    'text',
    [
        '[tasks]\nworkers = many\n',
        '[tasks]\nworkers = 0\n',
        '[tasks]\nworkers = 65\n',
        '[snapshots]\ntype = sideways\n',
        '[snapshots]\ninclude_memory = perhaps\n',
        '[events]\nallowed_destinations = ok.example, https://h:port/\n',
        '[events]\nallowed_destinations = ftp://h/\n',
        '[events]\nallowed_destinations = https:///path\n',
        'no section\n',
    ],
)
def test_a_bad_file_is_refused_at_once(write, text):
    """A value that does not fit is told when the file is read."""
    write(text)

    with pytest.raises(exceptions.ConfigurationInvalid) as raised:
        conf.load()

    assert raised.value.args[0]


def test_a_bad_environment_is_refused_at_once(monkeypatch):
    """A bad value in the environment is refused like one in a file."""
    monkeypatch.setenv('OS_TASKS__WORKERS', 'many')

    with pytest.raises(exceptions.ConfigurationInvalid, match='workers'):
        conf.load()


def test_a_file_that_is_named_must_be_there(monkeypatch, tmp_path):
    """A typing error in HAWKFISH_CONFIG_FILE does not pass silently."""
    monkeypatch.setenv(conf.FILE_VARIABLE, str(tmp_path / 'absent.conf'))

    with pytest.raises(exceptions.ConfigurationInvalid, match='absent'):
        conf.load()


def test_the_command_line_is_not_ours(monkeypatch):
    """The emulator's own arguments are neither read nor touched."""
    argv = ['sushy-emulator', '--fake', '--config', 'x.conf', '--workers=3']
    monkeypatch.setattr(sys, 'argv', list(argv))

    assert conf.load().tasks.workers == 4
    assert sys.argv == argv


def test_every_option_has_help():
    """Each option says what it is for."""
    for group, opts in conf.list_opts():
        assert all(opt.help for opt in opts), group


def test_the_sample_file_is_up_to_date(tmp_path):
    """The sample is what the generator makes of the options today."""
    made = tmp_path / 'sample'
    subprocess.run(
        [
            sys.executable,
            '-m',
            'oslo_config.generator',
            '--config-file',
            GENERATOR,
            '--output-file',
            str(made),
        ],
        cwd=ROOT,
        check=True,
    )

    assert made.read_text() == (ROOT / SAMPLE).read_text(), (
        'the sample is stale: make genconfig'
    )
