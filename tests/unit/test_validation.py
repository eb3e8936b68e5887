# SPDX-License-Identifier: Apache-2.0
"""The check of request bodies: which faults there are, and how many."""

import dataclasses

import pytest

from hawkfish_plugin import conf, exceptions, names
from hawkfish_plugin.api import validation
from hawkfish_plugin.api.validation import RequestBody
from hawkfish_plugin.redfish import schemas, uris

PREVIEW = validation.parameters(uris.PREVIEW_ACTION)
POLICY = validation.changes('HawkFishSnapshotPolicy')


def faults(schema, body, *rules, **given):
    """The errors of a check, as their names, arguments and properties."""
    try:
        schema.check(body, *rules, **given)
    except exceptions.HawkFishError as exc:
        assert exc.status == 400
        return [
            (type(part).__name__, part.args, part.related)
            for part in exc.parts
        ]
    return []


def kinds(schema, body, *rules, **given):
    return [kind for kind, _, _ in faults(schema, body, *rules, **given)]


def test_every_fault_of_a_body_is_reported():
    """Each property that is wrong has its message, in the body's order."""
    body = {
        'MaxSnapshots': -1,
        'MaxBytes': '5',
        'Colour': 'red',
        'OnLimit': 'Panic',
        'Usage': {},
        'MaxAgeSeconds': 60,
    }

    assert faults(POLICY, body) == [
        (
            'PropertyValueOutOfRange',
            ('-1', 'MaxSnapshots'),
            ('#/MaxSnapshots',),
        ),
        ('PropertyValueTypeError', ('"5"', 'MaxBytes'), ('#/MaxBytes',)),
        ('PropertyUnknown', ('Colour',), ('#/Colour',)),
        ('PropertyValueNotInList', ('Panic', 'OnLimit'), ('#/OnLimit',)),
        ('PropertyNotWritable', ('Usage',), ('#/Usage',)),
    ]


def test_every_fault_of_the_parameters_of_an_action_is_reported():
    """They have messages of their own, which name the action."""
    action = uris.REVERT_ACTION
    body = {'TargetPowerState': 'Up', 'Force': 'yes', 'Hurry': 1}

    assert faults(validation.parameters(action), body) == [
        (
            'ActionParameterValueNotInList',
            ('Up', 'TargetPowerState', action),
            ('#/TargetPowerState',),
        ),
        (
            'ActionParameterValueTypeError',
            ('"yes"', 'Force', action),
            ('#/Force',),
        ),
        ('ActionParameterUnknown', (action, 'Hurry'), ('#/Hurry',)),
    ]


@pytest.mark.parametrize(
    'value, kind',
    [
        (5, None),
        (None, None),
        (0, None),
        (True, 'PropertyValueTypeError'),
        (5.0, 'PropertyValueTypeError'),
        ('5', 'PropertyValueTypeError'),
        ([5], 'PropertyValueTypeError'),
        (-1, 'PropertyValueOutOfRange'),
        (10_001, 'PropertyValueOutOfRange'),
        (10**30, 'PropertyValueOutOfRange'),
    ],
)
def test_integers(value, kind):
    """Neither true nor 5.0 is an integer; null is where it may be."""
    assert kinds(POLICY, {'MaxSnapshots': value}) == [kind] * bool(kind)


@pytest.mark.parametrize(
    'value, kind',
    [
        ('Refuse', None),
        (None, None),
        ('refuse', 'PropertyValueNotInList'),
        (1, 'PropertyValueTypeError'),
        (False, 'PropertyValueTypeError'),
    ],
)
def test_one_of_several_words(value, kind):
    """A value of another type is no wrong word."""
    assert kinds(POLICY, {'OnLimit': value}) == [kind] * bool(kind)


@pytest.mark.parametrize(
    'text, is_valid',
    [
        ('2999-12-31T23:59:59Z', True),
        ('2999-12-31T23:59:59.5+02:00', True),
        ('2999-12-31T23:59:59', False),
        ('2999-12-31', False),
        ('2999-02-30T00:00:00Z', False),
        ('9999-12-31T23:59:59-23:59', False),
        ('0001-01-01T00:00:00+23:59', False),
        ('2999-W01-1T00:00:00+00:00', False),
        ('tomorrow', False),
        ('', False),
    ],
)
def test_times(text, is_valid):
    """A time has a date and a zone, and is within the calendar."""
    assert (not faults(PREVIEW, {'ExpiresTime': text})) is is_valid


def test_what_is_shown_is_known():
    """A property of the resource that no schema has is not unknown."""
    body = {'A@Redfish.AllowableValues': []}

    assert kinds(POLICY, body) == ['PropertyUnknown']
    assert kinds(POLICY, body, resource=body) == ['PropertyNotWritable']


def test_what_is_for_a_create_only_is_known_and_not_writable():
    """A snapshot has no memory added later, and its name stays."""
    body = dict.fromkeys(('Name', 'IncludeMemory', 'Quiesce', 'SizeBytes'))

    assert kinds(validation.changes('HawkFishSnapshot'), body) == 4 * [
        'PropertyNotWritable'
    ]


LISTS = RequestBody(
    {
        'Colours': {
            'type': 'array',
            'maxItems': 3,
            'items': {'type': 'string', 'enum': ['red', 'blue']},
        },
        'Links': {
            'type': 'array',
            'items': {
                'type': 'object',
                'properties': {'@odata.id': {'type': 'string'}},
                'required': ['@odata.id'],
                'additionalProperties': False,
            },
        },
        'Headers': {
            'type': 'array',
            'items': {
                'type': 'object',
                'additionalProperties': {'type': 'string'},
            },
            'secret': True,
        },
        'Password': {'type': 'string', 'maxLength': 5, 'secret': True},
    },
    required=('Colours', 'Links'),
    missing=exceptions.CreateFailedMissingReqProperties,
)
GOOD = {'Colours': [], 'Links': []}


def test_missing_properties_are_all_named():
    """With the error that the kind of request has for them."""
    kind = 'CreateFailedMissingReqProperties'

    assert faults(LISTS, {}) == [
        (kind, ('Colours',), ('#/Colours',)),
        (kind, ('Links',), ('#/Links',)),
    ]


def test_members_of_a_list():
    """Each member at fault is told, and the same fault once."""
    body = {**GOOD, 'Colours': ['red', 5, 'green']}

    assert faults(LISTS, body) == [
        ('PropertyValueTypeError', ('5', 'Colours'), ('#/Colours',)),
        ('PropertyValueNotInList', ('green', 'Colours'), ('#/Colours',)),
    ]
    assert kinds(LISTS, {**GOOD, 'Colours': ['green', 'green']}) == [
        'PropertyValueNotInList'
    ]


def test_a_list_that_is_too_long_is_no_more_than_that():
    """A client with thousands of members does not get thousands of lines."""
    body = {**GOOD, 'Colours': 10_000 * ['green']}

    assert faults(LISTS, body) == [
        ('ArraySizeTooLong', ('Colours', '3'), ('#/Colours',))
    ]


@pytest.mark.parametrize(
    'link', ['/a', {}, {'@odata.id': '/a', 'x': 1}, {'@odata.id': 5}]
)
def test_an_object_in_a_list(link):
    """One that is not formed as it has to be is of the wrong type."""
    assert kinds(LISTS, {**GOOD, 'Links': [link]}) == [
        'PropertyValueTypeError'
    ]


@pytest.mark.parametrize(
    'property_, value, shown',
    [
        ('Password', 'a secret', '***'),
        ('Password', ['a secret'], '***'),
        ('Headers', 'a secret', '***'),
        ('Headers', ['a secret'], '***'),
        ('Headers', [{'X-Token': ['a secret']}], 'X-Token'),
    ],
)
def test_secrets_are_not_told(property_, value, shown):
    """In the place of a secret a message has its name or nothing."""
    [(_, args, related)] = faults(LISTS, {**GOOD, property_: value})

    assert args[0] == shown
    assert related == (f'#/{property_}',)


def test_a_rule_sees_what_the_schema_finds_no_fault_with():
    """What a rule finds is told with the rest."""
    seen = []

    def rule(body):
        seen.append(body)
        yield exceptions.ExpiryInPast('x')

    assert kinds(LISTS, {**GOOD, 'Password': 5}, rule) == [
        'PropertyValueTypeError',
        'ExpiryInPast',
    ]
    assert seen == [GOOD]


def test_a_pointer_leads_to_the_property():
    """What has a meaning in a JSON pointer is escaped."""
    [(_, _, related)] = faults(POLICY, {'a/b~c': 1})

    assert related == ('#/a~1b~0c',)


def test_a_long_value_is_cut():
    """A message does not send back all that a client has sent."""
    [(_, args, _)] = faults(POLICY, {'OnLimit': 'x' * 10_000})

    assert len(args[0]) == 200


def test_one_fault_is_raised_as_itself():
    """A client that looks at the code of the error alone is told which."""
    with pytest.raises(exceptions.PropertyUnknown):
        POLICY.check({'x': 1})


# The schemas --------------------------------------------------------------


def test_a_create_has_the_limits_of_names():
    """The schema and the rules about names agree on the length."""
    assert PREVIEW.properties['Name']['maxLength'] == names.MAX_CHARACTERS


def test_a_policy_has_the_limits_of_the_configuration():
    """What can be configured can be set for one system, and no more."""
    limits = {
        'MaxSnapshots': 'max_snapshots',
        'MaxAgeSeconds': 'max_age',
        'MaxBytes': 'max_bytes',
    }
    assert {
        option: POLICY.properties[name]['maximum']
        for name, option in limits.items()
    } == conf.LARGEST_LIMITS


def test_a_create_takes_what_a_preview_takes():
    """Each parameter of the preview is a property of a snapshot."""
    snapshot = schemas.definitions('HawkFishSnapshot')['HawkFishSnapshot']

    assert PREVIEW.properties.keys() <= snapshot['properties'].keys()
    create = dataclasses.replace(PREVIEW, action=None)
    assert not faults(create, {'Quiesce': 'Never', 'Locked': True})
