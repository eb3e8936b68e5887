# SPDX-License-Identifier: Apache-2.0
"""The documentation leaves nothing out; it is built, and then read."""

import importlib.metadata
import pathlib
import re
import shlex
import subprocess
import sys

import flask
import pytest

from hawkfish_plugin import conf, exceptions, messages, plugin
from hawkfish_plugin.cli import app
from hawkfish_plugin.redfish import schemas
from tests import consoles

# One worker builds the pages, and reads them.
pytestmark = pytest.mark.xdist_group('docs')

ROOT = pathlib.Path(__file__).parents[2]
COMMANDS = sorted(
    point.name.replace('_', ' ')
    for point in importlib.metadata.entry_points(group=app.COMMANDS)
)
OPTIONS = [
    (group, opt.name) for group, opts in conf.list_opts() for opt in opts
]
PACKAGE = ROOT / 'hawkfish_plugin'
# Files, and folders with a slash at their end.
MODULES = sorted(
    path.name + ('' if path.is_file() else '/')
    for path in PACKAGE.iterdir()
    if not path.name.startswith('_') and path.name != 'py.typed'
)


def leaves(kind):
    """The classes below *kind* that have none below them."""
    for below in kind.__subclasses__():
        yield from leaves(below) if below.__subclasses__() else [below]


# What a task was asked for is no refusal.
REFUSALS = sorted(
    error.__name__
    for kind in (exceptions.Conflict, exceptions.Unavailable)
    for error in leaves(kind)
    if error.registry == exceptions.HAWKFISH
    and error is not exceptions.OperationCancelled
)


@pytest.fixture(scope='module')
def build(tmp_path_factory):
    """A function that builds all pages; a warning is an error."""
    folder = tmp_path_factory.mktemp('docs')

    def run(builder):
        done = subprocess.run(
            [
                sys.executable,
                '-m',
                'sphinx',
                '-q',
                '-W',
                '--keep-going',
                '-b',
                builder,
                '-d',
                folder / 'doctrees',
                ROOT / 'doc/source',
                folder / builder,
            ],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return folder / builder

    return run


@pytest.fixture(scope='module')
def pages(build):
    """The text of each page, by its name."""
    folder = build('text')
    return {
        str(path.relative_to(folder).with_suffix('')): path.read_text()
        for path in folder.rglob('*.txt')
    }


def test_html_has_no_warning(pages, build):
    """The theme, and what only HTML has, such as links, are in order."""
    assert (build('html') / 'index.html').exists()


def test_html_is_of_this_project_alone(build):
    """Version, release notes and search are ours; nothing is of others."""
    folder = build('html')
    first = (folder / 'index.html').read_text()
    version = importlib.metadata.version('hawkfish-snapshots')

    assert f'HawkFish Snapshots {version}' in first
    assert 'href="release-notes.html"' in first
    assert (folder / 'searchindex.js').exists()
    assert 'copybutton.js' in first
    for page in folder.rglob('*.html'):
        text = page.read_text()
        assert not re.search(r'<(?:script|link)[^>]+(?:src|href)="http', text)
        foot = text[text.rfind('<footer') :]
        assert 'licensed under Apache-2.0' in foot
        assert 'OpenStack' not in foot
        assert 'sushy.resources.base.Field object' not in text


def test_the_first_page_shows_the_words(pages, build):
    """There is a picture of the page, and a tree with its words."""
    html = (build('html') / 'index.html').read_text()

    assert 'page-system.png' in html
    assert re.search(r'<svg class="tree" role="img".*</svg>', html, re.DOTALL)
    assert 'the current snapshot: the system is based on it' in pages['index']


def section(text, title):
    """What *text* has below the heading *title*."""
    found = re.search(
        rf'^{re.escape(title)}\n=+\n(.*?)(?=^[^\n]+\n=+$|\Z)',
        text,
        re.MULTILINE | re.DOTALL,
    )
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
        pages['cli/index'],
        re.MULTILINE,
    )


def shown(program):
    """Every command line of *program* on any page, without its name."""
    pages = [*ROOT.glob('*.rst'), *(ROOT / 'doc/source').rglob('*.rst')]
    return [
        (
            page.name,
            command.line.removeprefix(f'{program} ').replace('\\\n', ''),
        )
        for page in pages
        for commands in consoles.read(page).values()
        for command in commands
        if command.line.startswith(f'{program} ')
    ]


@pytest.mark.parametrize(
    'page,line', shown('hawkfish') + shown('openstack hawkfish')
)
def test_every_command_shown_can_be_typed(page, line):
    """No page shows a command, or an option, that there is not."""
    program = app.HawkFishApp()
    _, words = program.parser.parse_known_args(shlex.split(line))
    factory, name, arguments = program.command_manager.find_command(words)

    factory(program, None).get_parser(name).parse_args(arguments)


@pytest.mark.parametrize('message_id', sorted(messages.registry()))
def test_every_message_is_documented(pages, message_id):
    """A MessageId is explained on the page of messages."""
    assert f'"{message_id}"' in pages['reference/messages']


@pytest.mark.parametrize('file', sorted(schemas.csdl_files()))
def test_every_type_is_documented(pages, file):
    """A type of ours has a section with its properties."""
    text = section(pages['reference/types'], file.removesuffix('_v1.xml'))

    assert re.search(r'^"\w+" \(.*\)$', text, re.MULTILINE)


@pytest.mark.parametrize('key', REFUSALS)
def test_every_refusal_has_advice(key):
    """What stands in a user's way has an entry under "Troubleshooting"."""
    page = ROOT / 'doc/source/user/troubleshooting.rst'

    assert f'.. met:: {key}\n' in page.read_text()


@pytest.mark.parametrize('module', MODULES)
def test_every_module_has_its_place(module):
    """CONTRIBUTING says of each module, or of its package, what it is."""
    text = (ROOT / 'CONTRIBUTING.rst').read_text()
    named = section(text, 'Where things live')

    assert f'``{module}' in named


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
    linked = re.findall(r'<([\w/.-]+)>`_', text)

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
