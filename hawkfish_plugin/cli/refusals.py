# SPDX-License-Identifier: Apache-2.0
"""
What to say of a request that was refused, to who typed a command.

The service names properties and collections of Redfish; here, the words of
the command line are put in their place.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hawkfish_plugin.cli import output

_MEMBER = 'GroupMemberRefused'
_EXISTS = 'ResourceAlreadyExists'
_RANGE = 'PropertyValueOutOfRange'
_KINDS = {
    'Aggregate': 'group',
    'Job': 'schedule',
    'Snapshot': 'snapshot',
    'ComputerSystem': 'system',
}
_SPANS = {
    'RecurrenceInterval': '--every must be at least one minute.',
}

Part = tuple[str, str]
"""A system of a group, or '', and what is said of it"""


def words(error: Any) -> str | None:
    """What *error* says in the words of the command line; None if nothing."""
    told = getattr(error, 'extended_info', None)
    infos = told if isinstance(told, list) else []
    if not any(_key(info) in (_MEMBER, _EXISTS, _RANGE) for info in infos):
        return None
    systems: dict[str, list[str]] = {}
    for system, said in _parts(infos):
        systems.setdefault(said, []).append(system)
    lines = [_line(owners, said) for said, owners in systems.items()]
    if any(_key(info) == _MEMBER for info in infos):
        lines.append('No system was changed.')
    return '\n'.join(lines)


def _parts(infos: Sequence[Mapping[str, Any]]) -> Iterator[Part]:
    system = ''
    for info in infos:
        if _key(info) == _MEMBER:
            system = _arguments(info)[0]
        else:
            yield system, _said(info)


def _said(info: Mapping[str, Any]) -> str:
    arguments = _arguments(info)
    if _key(info) == _EXISTS and arguments[0] in _KINDS:
        kind, name = _KINDS[arguments[0]], arguments[-1]
        return f'There is already a {kind} {name!r}. Choose another name.'
    if _key(info) == _RANGE and arguments[-1] in _SPANS:
        return _SPANS[arguments[-1]]
    texts = (info.get('Message'), info.get('Resolution'))
    return '\n'.join(str(text) for text in texts if text)


def _line(systems: Sequence[str], said: str) -> str:
    names = ', '.join(filter(None, systems))
    lines = [output.printable(line) for line in said.split('\n')]
    if names:
        lines[0] = f'{output.printable(names)}: {lines[0]}'
    return '\n'.join(lines)


def _key(info: Mapping[str, Any]) -> str:
    return str(info.get('MessageId')).rpartition('.')[2]


def _arguments(info: Mapping[str, Any]) -> list[str]:
    return [str(one) for one in info.get('MessageArgs') or ['']]
