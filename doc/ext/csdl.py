# SPDX-License-Identifier: Apache-2.0
"""
Our types, in the documentation.

Owns the directive ``csdl``: the properties, values and actions that a file of
``data/csdl`` declares. What is served has no other declaration.
"""

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

from docutils import nodes
from sphinx.util import docutils

from hawkfish_plugin.redfish import schemas

EDM = '{http://docs.oasis-open.org/odata/ns/edm}'
# Empty, or the same for every resource.
LEFT_OUT = ('Actions', 'Oem', 'OemActions')
PROPERTIES = (f'{EDM}Property', f'{EDM}NavigationProperty', f'{EDM}Parameter')


def _told(element: ET.Element, term: str) -> str:
    """What the annotation *term* of *element* says."""
    for annotation in element.findall(f'{EDM}Annotation'):
        if annotation.get('Term') == term:
            kinds = ('String', 'EnumMember')
            return next(v for k in kinds if (v := annotation.get(k)))
    return ''


def _kind(element: ET.Element) -> str:
    """The type of a property, without the name of what it is declared in."""
    name = element.get('Type', '')
    plural = name.startswith('Collection(')
    name = name.removeprefix('Collection(').rstrip(')').rpartition('.')[2]
    if element.tag == f'{EDM}NavigationProperty':
        name = f'link to {name}' if not plural else f'links to {name}'
    elif plural:
        name = f'list of {name}'
    return name


def _facts(element: ET.Element) -> Iterator[str]:
    yield _kind(element)
    if _told(element, 'OData.Permissions').endswith('/ReadWrite'):
        yield 'can be changed'
    if element.get('Nullable') != 'false' and element.tag != PROPERTIES[2]:
        yield 'may be null'


def _item(name: str, facts: str, words: str) -> nodes.Node:
    term = nodes.term('', '', nodes.literal('', name))
    if facts:
        term += nodes.Text(f' ({facts})')
    body = nodes.definition('', nodes.paragraph('', words))
    return nodes.definition_list_item('', term, body)


def _items(element: ET.Element) -> Iterator[nodes.Node]:
    """The properties of a type, or the values of an enumeration."""
    for child in element:
        name = child.get('Name', '')
        words = _told(child, 'OData.Description')
        if child.tag == f'{EDM}Member':
            yield _item(name, '', words)
        # The first parameter of an action is what it is an action of.
        elif child.tag in PROPERTIES and name not in LEFT_OUT and words:
            yield _item(name, ', '.join(_facts(child)), words)


class Csdl(docutils.SphinxDirective):
    """The types of the CSDL file of the name that is the argument."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        text = schemas.csdl_files().get(f'{self.arguments[0]}_v1.xml')
        if text is None:
            raise self.error(f'there is no type {self.arguments[0]}')
        found: list[nodes.Node] = []
        actions: list[nodes.Node] = []
        # Our own files.
        root = ET.fromstring(text)  # noqa: S314
        for schema in root.iter(f'{EDM}Schema'):
            for element in schema:
                is_action = element.tag == f'{EDM}Action'
                (actions if is_action else found).extend(self._type(element))
        return found + actions

    def _type(self, element: ET.Element) -> list[nodes.Node]:
        name = element.get('Name', '')
        items = list(_items(element))
        words = _told(element, 'OData.Description')
        is_action = element.tag == f'{EDM}Action'
        if name in LEFT_OUT or not (items or is_action):
            return []
        found: list[nodes.Node] = []
        # The section is called as the resource is.
        if name != self.arguments[0]:
            title = f'Action {name}' if is_action else name
            found.append(nodes.rubric('', title))
        if words:
            found.append(nodes.paragraph('', words))
        if items:
            found.append(nodes.definition_list('', *items))
        return found


def setup(app: Any) -> dict[str, bool | int]:
    app.add_directive('csdl', Csdl)
    return {'env_version': 1, 'parallel_read_safe': True}
