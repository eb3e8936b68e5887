# SPDX-License-Identifier: Apache-2.0
"""
The expressions of ``$filter`` (DSP0266, "The $filter query parameter").

Owns their grammar: comparisons of a property with a literal, ``and``, ``or``,
``not`` and brackets.  What a comparison means is the caller's, but for those
of the properties of a resource, which are here.
"""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

T = TypeVar('T')

Predicate = Callable[[T], bool]

Comparison = Callable[[str, str, str], Predicate[T]]
"""
The predicate of a property, an operator and a literal as it is written.

Raises ValueError where one of them is not supported.
"""

MAX_CHARACTERS = 2048
_MAX_DEPTH = 32

_TOKEN = re.compile(r"\s*([()]|'(?:[^']|'')*'|[^\s()']+)", re.ASCII)
_PATH = re.compile(r'[A-Za-z@#][\w@.#]*(/[A-Za-z@#][\w@.#]*)*', re.ASCII)
_NUMBER = re.compile(r'-?\d{1,18}(\.\d{1,18})?', re.ASCII)
_TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ', re.ASCII)
_CONSTANTS = {'true': True, 'false': False, 'null': None}
_OPERATORS = {
    'eq': operator.eq,
    'ne': operator.ne,
    'gt': operator.gt,
    'ge': operator.ge,
    'lt': operator.lt,
    'le': operator.le,
}


def parse(text: str, comparison: Comparison[T]) -> Predicate[T]:
    """The predicate that *text* is; raises ValueError where it is none."""
    if len(text) > MAX_CHARACTERS:
        raise ValueError('the expression is too long')
    return _Parser(_tokens(text), comparison).expression()


def is_quoted(literal: str) -> bool:
    return literal.startswith("'")


def unquote(literal: str) -> str:
    """The string that a literal in quotes stands for."""
    return literal[1:-1].replace("''", "'")


def _tokens(text: str) -> list[str]:
    """The tokens of *text*, the last one first."""
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f'no token: {text[at:]}')
        found.append(match[1])
        at = match.end()
    return found[::-1]


class _Parser(Generic[T]):
    """
    A parser by recursive descent; ``and`` binds more tightly than ``or``.

    *tokens* are in reverse order, and are used up.
    """

    def __init__(self, tokens: list[str], comparison: Comparison[T]) -> None:
        self._tokens = tokens
        self._comparison = comparison

    def expression(self) -> Predicate[T]:
        found = self._disjunction(0)
        if self._tokens:
            raise ValueError(f'unexpected: {self._tokens[-1]}')
        return found

    def _disjunction(self, depth: int) -> Predicate[T]:
        parts = [self._conjunction(depth)]
        while self._skip('or'):
            parts.append(self._conjunction(depth))
        return lambda item: any(part(item) for part in parts)

    def _conjunction(self, depth: int) -> Predicate[T]:
        parts = [self._term(depth)]
        while self._skip('and'):
            parts.append(self._term(depth))
        return lambda item: all(part(item) for part in parts)

    def _term(self, depth: int) -> Predicate[T]:
        if depth > _MAX_DEPTH:
            raise ValueError('the expression is nested too deeply')
        if self._skip('not'):
            inner = self._term(depth + 1)
            return lambda item: not inner(item)
        if self._skip('('):
            inner = self._disjunction(depth + 1)
            if not self._skip(')'):
                raise ValueError('a bracket is not closed')
            return inner
        name, sign, literal = self._take(), self._take(), self._take()
        if sign not in _OPERATORS or literal in ('(', ')'):
            raise ValueError(f'no comparison: {name} {sign} {literal}')
        return self._comparison(name, sign, literal)

    def _skip(self, token: str) -> bool:
        if self._tokens and self._tokens[-1] == token:
            self._tokens.pop()
            return True
        return False

    def _take(self) -> str:
        if not self._tokens:
            raise ValueError('the expression ends too early')
        return self._tokens.pop()


# Resources ----------------------------------------------------------------


def of_resource(text: str) -> Predicate[Mapping[str, Any]]:
    """The predicate of a resource that *text* is; raises ValueError."""
    return parse(text, _property)


def _property(
    path: str, sign: str, literal: str
) -> Predicate[Mapping[str, Any]]:
    if not _PATH.fullmatch(path):
        raise ValueError(f'no property: {path}')
    names, wanted = path.split('/'), _value(literal)
    return lambda resource: _compare(sign, _find(resource, names), wanted)


def _value(literal: str) -> str | float | bool | None:
    if is_quoted(literal):
        return unquote(literal)
    if literal in _CONSTANTS:
        return _CONSTANTS[literal]
    if _NUMBER.fullmatch(literal):
        return float(literal) if '.' in literal else int(literal)
    if _TIME.fullmatch(literal):
        return literal
    raise ValueError(f'no literal: {literal}')


def _find(value: object, names: list[str]) -> object:
    for name in names:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def _compare(sign: str, found: Any, wanted: Any) -> bool:
    if _kind(found) is not _kind(wanted):
        # What cannot be compared is different, and neither more nor less.
        return sign == 'ne'
    try:
        return bool(_OPERATORS[sign](found, wanted))
    except TypeError:
        return False


def _kind(value: object) -> type:
    # In Python, true is 1.
    return float if type(value) is int else type(value)
