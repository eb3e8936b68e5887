# SPDX-License-Identifier: Apache-2.0
"""
The directive ``message-registry``: every message, out of the registries.

Its argument is the registry's name and version, as MessageIds begin with it.
"""

from typing import Any

from docutils import nodes
from docutils.parsers import rst

from hawkfish_plugin import messages


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
    severity = f'Severity: {message["MessageSeverity"]}.'
    if not message['Resolution'].startswith('None'):
        severity += f' {message["Resolution"]}'
    body += nodes.paragraph('', severity)
    return nodes.definition_list_item('', term, body)


class MessageRegistry(rst.Directive):
    """A definition list of the messages of one registry."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        prefix = f'{self.arguments[0]}.'
        found = [
            _message(message_id, message)
            for message_id, message in sorted(messages.registry().items())
            if message_id.startswith(prefix)
        ]
        if not found:
            raise self.error(f'no message begins with {prefix}')
        return [nodes.definition_list('', *found)]


def setup(app: Any) -> dict[str, bool]:
    app.add_directive('message-registry', MessageRegistry)
    return {'parallel_read_safe': True}
