# SPDX-License-Identifier: Apache-2.0
"""The documentation leaves nothing out; it is built, and then read."""

import importlib.metadata
import pathlib
import re
import subprocess
import sys

import flask
import pytest

from hawkfish_plugin import conf, messages, plugin
from hawkfish_plugin.cli import app

ROOT = pathlib.Path(__file__).parents[2]
COMMANDS = sorted(
    point.name.replace('_', ' ')
    for point in importlib.metadata.entry_points(group=app.COMMANDS)
)
OPTIONS = [
    (group, opt.name) for group, opts in conf.list_opts() for opt in opts
]


@pytest.fixture(scope='module')
def pages(tmp_path_factory):
    """The text of each page, by its name; a warning is an error."""
    folder = tmp_path_factory.mktemp('docs')
    done = subprocess.run(
        [sys.executable, '-m', 'sphinx', '-q', '-W', '--keep-going',
         '-b', 'text', '-d', folder / 'doctrees', ROOT / 'doc/source',
         folder / 'text'],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {
        str(path.relative_to(folder / 'text').with_suffix('')):
            path.read_text()
        for path in (folder / 'text').rglob('*.txt')
    }  # fmt: skip


def section(text, title):
    """What *text* has below the heading *title*."""
    found = re.search(
        rf'^{re.escape(title)}\n=+\n(.*?)(?=^[^\n]+\n=+$|\Z)', text,
        re.MULTILINE | re.DOTALL,
    )  # fmt: skip
    assert found, f'there is no section {title!r}'
    return found[1]


def as_written(route):
    """A route of Flask as the documentation writes it."""
    return re.sub(r'<(?:\w+:)?(\w+)>', r'{\1}', route)


@pytest.mark.parametrize('group,option', OPTIONS)
def test_every_option_is_documented(pages, group, option):
    """An option stands under its group, with its help."""
    text = section(pages['configuration/index'], group)

    assert re.search(rf'^{option}$', text, re.MULTILINE)


@pytest.mark.parametrize('command', COMMANDS)
def test_every_command_is_documented(pages, command):
    """A command has a section with its usage."""
    assert re.search(
        rf'^{command}\n-+\n(.*\n)*? +{command}\b',
        pages['cli/index'], re.MULTILINE,
    )  # fmt: skip


@pytest.mark.parametrize('message_id', sorted(messages.registry()))
def test_every_message_is_documented(pages, message_id):
    """A MessageId is explained on the page of messages."""
    assert f'"{message_id}"' in pages['reference/messages']


def test_every_route_is_documented(pages):
    """Each method of each path that the plugin serves is on the HTTP page."""
    emulator = flask.Flask('empty')
    own = {rule.endpoint for rule in emulator.url_map.iter_rules()}
    plugin.setup(emulator)
    served = {
        f'"{method} {as_written(rule.rule)}"'
        for rule in emulator.url_map.iter_rules()
        if rule.endpoint not in own
        for method in rule.methods - {'HEAD', 'OPTIONS'}
    }

    # Lines are broken within paths as well.
    told = ''.join(pages['reference/api'].split())
    assert not {s for s in served if s.replace(' ', '') not in told}


@pytest.mark.parametrize('page', ['README.rst', 'CONTRIBUTING.rst'])
def test_links_between_files_lead_somewhere(page):
    """A file of the project that a page names is there."""
    text = (ROOT / page).read_text()
    linked = re.findall(r'<([\w/.]+)>`_', text)

    assert not [path for path in linked if not (ROOT / path).exists()]
    for target in re.findall(r'``make (\w+)``', text):
        assert re.search(
            rf'^{target}:', (ROOT / 'Makefile').read_text(), re.MULTILINE
        )


def test_every_fault_has_its_test():
    """The table of faults names tests that there are."""
    page = (ROOT / 'doc/source/reference/faults.rst').read_text()
    named = re.findall(r'``(test_\w+\.py)::(\w+)``', page)

    assert len(named) > 30
    for file, test in named:
        source = (ROOT / 'tests/functional' / file).read_text()
        assert f'\ndef {test}(' in source, f'{file}::{test}'
