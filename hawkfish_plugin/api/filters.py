# SPDX-License-Identifier: Apache-2.0
"""
The expressions of ``$filter`` (DSP0266, "The $filter query parameter").

Owns their parsing and what they say of a resource: comparisons of properties
with literals, ``and``, ``or``, ``not`` and brackets.
"""

import operator
import re
from collections.abc import Callable
from typing import Any

Filter = Callable[[dict[str, Any]], bool]

MAX_CHARACTERS = 2048
_MAX_DEPTH = 32

_TOKEN = re.compile(r"\s*(?P<token>[()]|'(?:[^']|'')*'|[^\s()']+)", re.ASCII)
_PATH = re.compile(r'[A-Za-z@#][\w@.#]*(/[A-Za-z@#][\w@.#]*)*', re.ASCII)
_NUMBER = re.compile(r'-?\d{1,18}(\.\d{1,18})?', re.ASCII)
_TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ', re.ASCII)
_WORDS = {'true': True, 'false': False, 'null': None}
_COMPARISONS = {
    'eq': operator.eq,
    'ne': operator.ne,
    'gt': operator.gt,
    'ge': operator.ge,
    'lt': operator.lt,
    'le': operator.le,
}


def parse(text: str) -> Filter:
    """The filter that *text* is; raises ValueError."""
    if len(text) > MAX_CHARACTERS:
        raise ValueError(text)
    parser = _Parser(_tokens(text))
    found = parser.either(0)
    if parser.tokens:
        raise ValueError(text)
    return found


def _tokens(text: str) -> list[str]:
    """The words of *text*, the last one first."""
    found = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(text)
        found.append(match['token'])
        at = match.end()
    return found[::-1]


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens

    def either(self, depth: int) -> Filter:
        parts = [self.all(depth)]
        while self.skip('or'):
            parts.append(self.all(depth))
        return lambda resource: any(part(resource) for part in parts)

    def all(self, depth: int) -> Filter:
        parts = [self.one(depth)]
        while self.skip('and'):
            parts.append(self.one(depth))
        return lambda resource: all(part(resource) for part in parts)

    def one(self, depth: int) -> Filter:
        if depth > _MAX_DEPTH:
            raise ValueError('too deep')
        if self.skip('not'):
            inner = self.one(depth + 1)
            return lambda resource: not inner(resource)
        if self.skip('('):
            inner = self.either(depth + 1)
            if not self.skip(')'):
                raise ValueError('no closing bracket')
            return inner
        return self.comparison()

    def comparison(self) -> Filter:
        path, word, literal = self.take(), self.take(), self.take()
        if not _PATH.fullmatch(path) or word not in _COMPARISONS:
            raise ValueError(f'{path} {word}')
        names, wanted = path.split('/'), _literal(literal)
        return lambda resource: _compare(word, _find(resource, names), wanted)

    def skip(self, token: str) -> bool:
        if self.tokens and self.tokens[-1] == token:
            self.tokens.pop()
            return True
        return False

    def take(self) -> str:
        if not self.tokens:
            raise ValueError('too short')
        return self.tokens.pop()


def _literal(text: str) -> Any:
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    if text in _WORDS:
        return _WORDS[text]
    if _NUMBER.fullmatch(text):
        return float(text) if '.' in text else int(text)
    if _TIME.fullmatch(text):
        return text
    raise ValueError(text)


def _find(resource: Any, names: list[str]) -> Any:
    for name in names:
        if not isinstance(resource, dict):
            return None
        resource = resource.get(name)
    return resource


def _compare(word: str, found: Any, wanted: Any) -> bool:
    if _kind(found) is not _kind(wanted):
        # What cannot be compared is different, and neither more nor less.
        return word == 'ne'
    try:
        return bool(_COMPARISONS[word](found, wanted))
    except TypeError:
        return False


def _kind(value: Any) -> type:
    # To Python true is 1.
    return float if type(value) is int else type(value)
