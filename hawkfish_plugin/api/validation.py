# SPDX-License-Identifier: Apache-2.0
"""
The check of a request's body against a JSON schema.

Owns which message tells of which fault.  Everything that is wrong with a body
is reported at once, each fault with a message of the registry that names its
property.
"""

import dataclasses
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import jsonschema

from hawkfish_plugin import exceptions
from hawkfish_plugin.api.bodies import (
    Body,
    moment,
    pointer,
    quoted,
    read_body,
    unquoted,
)
from hawkfish_plugin.redfish import schemas

Schema = Mapping[str, Any]
Errors = Iterable[exceptions.HawkFishError]

Rule = Callable[[Body], Errors]
"""
What is wrong with a body that no schema can say.

It is given the properties in which the schema has found no fault.
"""

# Of one property; a client that sends more of them needs no longer list.
_MAX_FAULTS = 100
_MASKED = '***'

# Keywords that give no limit: the error of a property, and of a parameter.
_WRONG_TYPE = (
    exceptions.PropertyValueTypeError,
    exceptions.ActionParameterValueTypeError,
)
_WRONG_FORMAT = (
    exceptions.PropertyValueFormatError,
    exceptions.ActionParameterValueFormatError,
)
_OUT_OF_RANGE = (
    exceptions.PropertyValueOutOfRange,
    exceptions.ActionParameterValueFormatError,
)
_ERRORS = {
    'type': _WRONG_TYPE,
    # Of an object within the value.
    'required': _WRONG_TYPE,
    'additionalProperties': _WRONG_TYPE,
    'enum': (
        exceptions.PropertyValueNotInList,
        exceptions.ActionParameterValueNotInList,
    ),
    'format': _WRONG_FORMAT,
    'minimum': _OUT_OF_RANGE,
    'maximum': _OUT_OF_RANGE,
}


# Formats ------------------------------------------------------------------

_formats = jsonschema.FormatChecker(formats=())


def add_format(
    name: str, is_valid: Callable[[Any], bool], kind: type = str
) -> None:
    """Let schemas have the format *name* of values of *kind*."""
    _formats.checks(name)(
        lambda value: not isinstance(value, kind) or is_valid(value)
    )


def _is_moment(text: str) -> bool:
    try:
        return bool(moment(text))
    except ValueError:
        return False


def _is_text(value: str) -> bool:
    # XML cannot hold other control characters, and a terminal obeys them.
    return all(c.isprintable() or c in '\n\t' for c in value)


add_format('date-time', _is_moment)
add_format('printable', str.isprintable)
add_format('text', _is_text)


# Checking -----------------------------------------------------------------


def _is_integer(_checker: object, value: object) -> bool:
    # To JSON schema 1.0 is one, to Python true is.
    return type(value) is int


_Validator = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft7Validator,
    type_checker=jsonschema.Draft7Validator.TYPE_CHECKER.redefine(
        'integer', _is_integer
    ),
)


@dataclasses.dataclass(frozen=True)
class RequestBody:
    """
    What the body of a request may hold.

    *properties* are the JSON schemas of each, which may refer to
    *definitions*; one with ``secret`` true is never quoted in a message.
    *read_only* are properties that the resource has besides.  Where *action*
    is given, the body holds its parameters.  *missing* is the error for a
    *required* property that is not there.
    """

    properties: Mapping[str, Schema]
    required: tuple[str, ...] = ()
    read_only: frozenset[str] = frozenset()
    action: str | None = None
    missing: type[exceptions.HawkFishError] = exceptions.PropertyMissing
    definitions: Schema = dataclasses.field(default_factory=dict)

    def with_properties(self, **properties: Schema) -> 'RequestBody':
        """The same with other schemas for some of its properties."""
        return dataclasses.replace(
            self, properties={**self.properties, **properties}
        )

    def check(
        self,
        body: Body,
        *rules: Rule,
        resource: Collection[str] = (),
    ) -> None:
        """
        Raise everything that is wrong with *body*.

        *resource* names properties that are shown, and so known to a client.
        """
        try:
            faults = {
                name: list(self._faults(name, value, resource))
                for name, value in body.items()
            }
        except RecursionError:
            raise exceptions.MalformedJSON() from None
        errors = [error for found in faults.values() for error in found]
        for name in self.required:
            if name not in body:
                errors.append(self._of_property(self.missing, name))
        sound = {k: v for k, v in body.items() if not faults[k]}
        for rule in rules:
            errors.extend(rule(sound))
        exceptions.check(errors)

    def _faults(
        self, name: str, value: object, resource: Collection[str]
    ) -> Errors:
        if name in self.properties:
            return self._faults_of_value(name, value)
        if name in self.read_only or name in resource:
            wrong: type[exceptions.HawkFishError] = (
                exceptions.PropertyNotWritable
            )
        elif self.action:
            wrong = exceptions.ActionParameterUnknown
        else:
            wrong = exceptions.PropertyUnknown
        return [self._of_property(wrong, name)]

    def _faults_of_value(self, name: str, value: object) -> Errors:
        validator = _Validator(
            {'properties': self.properties, 'definitions': self.definitions},
            format_checker=_formats,
        )
        found = itertools.islice(
            validator.iter_errors({name: value}), _MAX_FAULTS
        )
        errors = [self._error(name, fault) for fault in _decisive(found)]
        # Members of a list may have the same fault.
        return {(type(e), e.args): e for e in errors}.values()

    def _error(
        self, name: str, fault: jsonschema.ValidationError
    ) -> exceptions.HawkFishError:
        related, limit = [pointer(name)], fault.validator_value
        if fault.validator == 'maxItems':
            return exceptions.ArraySizeTooLong(name, limit, related=related)
        value = self._value(name, fault)
        if fault.validator == 'maxLength':
            return exceptions.StringValueTooLong(value, limit, related=related)
        of_property, of_parameter = _ERRORS[str(fault.validator)]
        if self.action:
            return of_parameter(value, name, self.action, related=related)
        return of_property(value, name, related=related)

    def _value(self, name: str, fault: jsonschema.ValidationError) -> str:
        """The value at fault, as a message quotes it."""
        if not self.properties[name].get('secret'):
            # "5" and 5 differ in their type alone.
            wrong_type = fault.validator == 'type'
            return (quoted if wrong_type else unquoted)(fault.instance)
        # In the place of a secret, the name that it has within the value.
        _, *below = fault.absolute_path
        if below and isinstance(below[-1], str):
            return unquoted(below[-1])
        return _MASKED

    def _of_property(
        self, wrong: type[exceptions.HawkFishError], name: str
    ) -> exceptions.HawkFishError:
        args = (self.action, name) if self.action else (name,)
        return wrong(*args, related=[pointer(name)])


def _decisive(
    faults: Iterable[jsonschema.ValidationError],
) -> Iterator[jsonschema.ValidationError]:
    """
    The one that matters of those at each place of a value.

    What is wrong with the value as a whole hides what is wrong within it, and
    a wrong type hides all else.
    """
    places: dict[tuple[str | int, ...], jsonschema.ValidationError] = {}
    for fault in map(_of_alternatives, faults):
        place = tuple(fault.absolute_path)
        if place not in places or fault.validator == 'type':
            places[place] = fault
    for place, fault in places.items():
        if len(place) == 1:
            return iter([fault])
    return iter(places.values())


def _of_alternatives(
    fault: jsonschema.ValidationError,
) -> jsonschema.ValidationError:
    """The fault that the only alternative of the right type has."""
    alternatives = fault.context or []
    if fault.validator != 'anyOf':
        return fault
    wrong_type = {
        f.relative_schema_path[0]
        for f in alternatives
        if f.validator == 'type'
    }
    for inner in alternatives:
        if inner.relative_schema_path[0] not in wrong_type:
            return inner
    return next(f for f in alternatives if f.validator == 'type')


# Our own schemas ----------------------------------------------------------


def parameters(action: str) -> RequestBody:
    """What the schema of one of our types says of *action*."""
    resource, _, name = action.partition('.')
    definitions = schemas.definitions(resource)
    return RequestBody(
        definitions[name]['parameters'],
        action=action,
        missing=exceptions.ActionParameterMissing,
        definitions=definitions,
    )


def changes(resource: str) -> RequestBody:
    """What the schema of one of our types lets a PATCH change."""
    definitions = schemas.definitions(resource)
    properties = definitions[resource]['properties']
    writable = {
        name: schema
        for name, schema in properties.items()
        if schema.get('readonly') is False
    }
    return RequestBody(
        writable,
        read_only=frozenset(properties) - frozenset(writable),
        definitions=definitions,
    )


def creation(resource: str, *names: str) -> RequestBody:
    """What a POST gives that creates one of our types: *names*."""
    definitions = schemas.definitions(resource)
    properties = definitions[resource]['properties']
    return RequestBody(
        {name: properties[name] for name in names},
        read_only=frozenset(properties).difference(names),
        definitions=definitions,
    )


def read_nothing(action: str | None = None) -> None:
    """
    Read the body of a request that has no properties, or parameters.

    One of something else was sent to the wrong place.
    """
    RequestBody({}, action=action).check(read_body())
