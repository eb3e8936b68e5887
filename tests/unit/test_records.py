# SPDX-License-Identifier: Apache-2.0
"""What operations keep of themselves is typed, for all who read it."""

import importlib
import inspect
import pkgutil
import typing

import pytest

from hawkfish_plugin import operations
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks.task import Intent
from hawkfish_plugin.wiring import work

MODULES = [
    importlib.import_module(f'{operations.__name__}.{module.name}')
    for module in pkgutil.iter_modules(operations.__path__)
]
ARGUMENTS = {
    kind
    for module in MODULES
    for name, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, Record) and name.endswith('Arguments')
}


def parts(hint):
    return set(typing.get_args(hint) or (hint,))


@pytest.mark.parametrize(
    'kind',
    sorted(ARGUMENTS, key=lambda k: k.__name__),
    ids=lambda k: k.__name__,
)
def test_what_is_shown_of_arguments_has_one_type(kind):
    """Who shows a task need not know its operation."""
    shown = typing.get_type_hints(Intent)
    found = typing.get_type_hints(kind)

    for name in shown.keys() & found.keys():
        assert parts(found[name]) <= parts(shown[name]), name


def test_operations_of_groups_say_so():
    """What their arguments call group is busy with them, and no other."""
    for kind in work.KINDS.values():
        assert kind.of_group == kind.name.startswith('group-')


def test_everything_that_is_shown_is_somebodys():
    """No field of it has a name that no operation knows."""
    known = {
        name for kind in ARGUMENTS for name in typing.get_type_hints(kind)
    }

    assert typing.get_type_hints(Intent).keys() <= known
