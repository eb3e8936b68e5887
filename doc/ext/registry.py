# SPDX-License-Identifier: Apache-2.0
"""
The messages of the registries, in the documentation.

Owns the directive ``message-registry``, every message of a registry; the
directive ``met``, what to do about one; and the role ``message``, a link to
one. Their words are the registry's, so they cannot differ from it.
"""

import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.roles import XRefRole
from sphinx.util import docutils

from hawkfish_plugin import exceptions, messages

OURS = 'HawkFish.1.0'


def _statuses(
    kind: type[exceptions.HawkFishError],
) -> Iterator[tuple[str, int]]:
    """The MessageIds of the errors below *kind*, and their HTTP statuses."""
    for error in kind.__subclasses__():
        yield f'{error.registry}.{error.key or error.__name__}', error.status
        yield from _statuses(error)


STATUSES = dict(_statuses(exceptions.HawkFishError))
# It stands for several errors, or for one of the web framework's.
del STATUSES[exceptions.GeneralError().message_id]


def _message(message_id: str, message: dict[str, Any]) -> nodes.Node:
    term = nodes.term('', '', nodes.literal('', message_id))
    term['ids'].append(nodes.make_id(message_id))
    body = nodes.definition()
    body += nodes.paragraph('', message['Message'])
    arguments = nodes.bullet_list()
    for number, words in enumerate(message.get('ArgDescriptions', ()), 1):
        text = nodes.paragraph('', f'%{number}: {words}')
        arguments += nodes.list_item('', text)
    if arguments.children:
        body += arguments
    closing = f'Severity: {message["MessageSeverity"]}.'
    if message_id in STATUSES:
        closing += f' HTTP status: {STATUSES[message_id]}.'
    if not message['Resolution'].startswith('None'):
        closing += f' {message["Resolution"]}'
    body += nodes.paragraph('', closing)
    return nodes.definition_list_item('', term, body)


class MessageRegistry(docutils.SphinxDirective):
    """
    A definition list of the messages of one registry.

    Its argument is the registry's name and version, as MessageIds begin with
    it.
    """

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        prefix = f'{self.arguments[0]}.'
        items = []
        for message_id, message in sorted(messages.registry().items()):
            if message_id.startswith(prefix):
                items.append(_message(message_id, message))
                self._make_known(message_id)
        if not items:
            raise self.error(f'no message begins with {prefix}')
        return [nodes.definition_list('', *items)]

    def _make_known(self, message_id: str) -> None:
        domain: Any = self.env.get_domain('std')
        domain.note_object('message', message_id, nodes.make_id(message_id))


class Met(docutils.SphinxDirective):
    """
    A message of ours as its reader has met it, and what to do about it.

    Its argument is the key of the message, its content the advice.
    """

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        message_id = f'{OURS}.{self.arguments[0]}'
        message = messages.registry().get(message_id)
        if message is None:
            raise self.error(f'there is no message {message_id}')
        self.assert_has_content()
        words = re.sub(r'%\d', '…', message['Message'])
        link = addnodes.pending_xref(
            '',
            nodes.literal('', self.arguments[0]),
            refdomain='std',
            reftype='message',
            reftarget=message_id,
            refwarn=True,
            refdoc=self.env.docname,
        )
        self.set_source_info(link)
        term = nodes.term('', words)
        term['ids'].append(nodes.make_id(self.arguments[0]))
        body = nodes.definition()
        body += self.parse_content_to_nodes()
        body += nodes.paragraph('', 'Message: ', link)
        item = nodes.definition_list_item('', term, body)
        return [nodes.definition_list('', item)]


def setup(app: Any) -> dict[str, bool | int]:
    app.add_directive('message-registry', MessageRegistry)
    app.add_directive('met', Met)
    app.add_object_type('message', 'message')
    role = XRefRole(warn_dangling=True)
    app.add_role_to_domain('std', 'message', role, override=True)
    return {'env_version': 1, 'parallel_read_safe': True}
