# SPDX-License-Identifier: Apache-2.0
"""
The parameters of actions in Redfish.

Owns what of a JSON schema, by which a body is checked, an ActionInfo tells.
"""

from collections.abc import Collection, Mapping
from typing import Any

from hawkfish_plugin.redfish import uris
from hawkfish_plugin.redfish.common import Resource

Schema = Mapping[str, Any]

_TYPES = {
    'boolean': 'Boolean',
    'integer': 'Number',
    'number': 'Number',
    'string': 'String',
    'object': 'Object',
}
_LIMITS = {
    'minimum': 'MinimumValue',
    'maximum': 'MaximumValue',
    'minItems': 'ArraySizeMinimum',
    'maxItems': 'ArraySizeMaximum',
}


def action_info(
    action: str,
    parameters: Mapping[str, Schema],
    required: Collection[str],
    definitions: Schema,
) -> Resource:
    """
    The ActionInfo of *action*.

    *parameters* are the JSON schemas of each, which may refer to
    *definitions*; those that are *required* have to be given.
    """
    return {
        '@odata.id': uris.action_info_uri(action),
        '@odata.type': '#ActionInfo.v1_5_0.ActionInfo',
        'Id': action,
        'Name': f'Parameters of {action}',
        'Parameters': [
            {
                'Name': name,
                'Required': name in required,
                **_value(_resolved(schema, definitions), definitions),
            }
            for name, schema in parameters.items()
        ],
    }


def _value(schema: Schema, definitions: Schema) -> Resource:
    """What may be given for a parameter."""
    kind, values = _type(schema), schema
    if kind == 'array':
        values = _resolved(schema.get('items', {}), definitions)
        data_type = f'{_TYPES[_type(values)]}Array'
    else:
        data_type = _TYPES[kind]
    found: Resource = {'DataType': data_type}
    if 'enum' in values:
        found['AllowableValues'] = list(values['enum'])
    return found | {
        told: schema[name] for name, told in _LIMITS.items() if name in schema
    }


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    """*schema*, or the definition that it refers to."""
    reference = schema.get('$ref')
    if reference is None:
        return schema
    found: Schema = definitions[reference.rpartition('/')[2]]
    return found


def _type(schema: Schema) -> str:
    # The items of a list may have their type checked by its format alone.
    kind = schema.get('type', 'string')
    if isinstance(kind, str):
        return kind
    # One that may be null as well.
    return next(str(one) for one in kind if one != 'null')
