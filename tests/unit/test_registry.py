# SPDX-License-Identifier: Apache-2.0
"""The message registries and the code say the same."""

import ast
import inspect
import json
import pathlib
import re

import pytest

import hawkfish_plugin
from hawkfish_plugin import exceptions, messages

ROOT = pathlib.Path(hawkfish_plugin.__file__).parent
STOCK = ROOT / 'emulator/internals.py'
REGISTRY = messages.registry()
OURS = json.loads((ROOT / 'data/registries/HawkFish.1.0.0.json').read_text())[
    'Messages'
]
MESSAGE_ID = re.compile(r'[A-Z][A-Za-z]+\.\d+\.\d+\.[A-Z][A-Za-z]+')


def descendants(of):
    return {of}.union(*map(descendants, of.__subclasses__()))


LEAVES = sorted(
    (
        error
        for error in descendants(exceptions.HawkFishError)
        if not error.__subclasses__() and error is not exceptions.Refused
    ),
    key=lambda error: error.__name__,
)


def number_of_args(message):
    """How many arguments the text of *message* has a place for."""
    return max(map(int, re.findall(r'%(\d+)', message['Message'])), default=0)


def has_own_signature(error):
    return error.__init__ is not exceptions.HawkFishError.__init__


def documented_args(error):
    """The arguments that the docstring lists in brackets, or None."""
    listed = re.match(r'\((.*)\)$', (error.__doc__ or '').strip(), re.DOTALL)
    return listed and [a for a in listed[1].split(',') if a.strip()]


def calls():
    """Every call in the package: its file and line, name and arguments."""
    for path in sorted(ROOT.rglob('*.py')):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, 'attr', None) or (
                    getattr(node.func, 'id', '')
                )
                where = f'{path.relative_to(ROOT)}:{node.lineno}'
                yield where, name, node.args


def is_spread(args):
    return any(isinstance(arg, ast.Starred) for arg in args)


def used_ids():
    """
    The MessageIds that the code spells, by where it does.

    But for what the emulator sends, which has no registry of its own.
    """
    for path in sorted({*ROOT.rglob('*.py')} - {STOCK}):
        for node in ast.walk(ast.parse(path.read_text())):
            text = getattr(node, 'value', None)
            if isinstance(node, ast.Constant) and isinstance(text, str):
                if MESSAGE_ID.fullmatch(text):
                    yield f'{path.relative_to(ROOT)}:{node.lineno}', text


def ids_of_errors():
    raised = {name for _, name, _ in calls()}
    return {
        error.__new__(error).message_id
        for error in LEAVES
        if error.__name__ in raised
    }


@pytest.mark.parametrize('error', LEAVES, ids=lambda e: e.__name__)
def test_every_error_has_its_message(error):
    """An error is in a registry, with a place for each of its arguments."""
    if has_own_signature(error):
        names = list(inspect.signature(error).parameters)
        made = error(*names)
    else:
        made = error(*(documented_args(error) or ()))

    assert made.message_id in REGISTRY
    assert len(made.args) == number_of_args(REGISTRY[made.message_id])


def test_errors_are_raised_with_the_arguments_of_their_message():
    """Wherever an error is made it gets as many arguments as its text."""
    by_name = {
        error.__name__: error
        for error in LEAVES
        if not has_own_signature(error)
    }
    wrong = [
        f'{where}: {name}'
        for where, name, args in calls()
        if name in by_name
        and not is_spread(args)
        and len(args) != number_of_args(REGISTRY[by_name[name]().message_id])
    ]

    assert not wrong


def test_what_operations_tell_has_the_arguments_of_its_message():
    """What an operation tells has as many arguments as its text."""
    told = [
        (where, getattr(messages, args[0].attr), args)
        for where, name, args in calls()
        if name == 'add_message'
        and getattr(getattr(args[0], 'value', None), 'id', '') == 'messages'
        and not is_spread(args)
    ]

    assert told
    assert not [
        f'{where}: {message_id}'
        for where, message_id, args in told
        if len(args) - 1 != number_of_args(REGISTRY[message_id])
    ]


def test_what_operations_tell_has_a_name():
    """Its MessageId is spelled once, in ``messages``."""
    assert not [
        where
        for where, name, args in calls()
        if name == 'add_message' and isinstance(args[0], ast.Constant)
    ]


def test_every_message_in_the_code_exists():
    """Each MessageId that the code spells is in a registry."""
    assert not [
        f'{where}: {text}'
        for where, text in used_ids()
        if text not in REGISTRY
    ]


def test_every_message_of_ours_is_sent():
    """The registry holds no message of ours that nothing sends."""
    used = {text for _, text in used_ids()} | ids_of_errors()

    assert {f'HawkFish.1.0.{key}' for key in OURS} <= used


@pytest.mark.parametrize('message_id', sorted(REGISTRY))
def test_every_message_is_complete(message_id):
    """A message has a text, a severity and what to do about it."""
    message = REGISTRY[message_id]

    assert message['Message'].endswith('.')
    assert message['MessageSeverity'] in ('OK', 'Warning', 'Critical')
    assert message['Resolution'].strip()


@pytest.mark.parametrize('key', sorted(OURS))
def test_every_message_of_ours_says_what_its_arguments_are(key):
    """Number, types and descriptions of arguments agree with the text."""
    message = OURS[key]
    wanted = set(range(1, message.get('NumberOfArgs', 0) + 1))

    assert set(map(int, re.findall(r'%(\d+)', message['Message']))) == wanted
    assert len(message.get('ParamTypes', ())) == len(wanted)
    assert len(message.get('ArgDescriptions', ())) == len(wanted)
    assert message['Severity'] == message['MessageSeverity']
    assert message['Description'] and message['LongDescription']


@pytest.mark.parametrize(
    'message_id, same',
    [
        ('Base.1.22.ResourceNotFound', True),
        ('Base.1.18.ResourceNotFound', True),
        ('HawkFish.1.0.ResourceNotFound', False),
        ('Base.1.22.ResourceAlreadyExists', False),
    ],
)
def test_an_error_is_known_by_its_message(message_id, same):
    """Whichever release has noted it with a task."""
    assert exceptions.NotFound.has_id(message_id) is same
    assert exceptions.SnapshotNotFound.has_id(message_id) is same
