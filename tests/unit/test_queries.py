# SPDX-License-Identifier: Apache-2.0
"""Query parameters of collections."""

import pytest
import requests

from hawkfish_plugin.redfish import filters
from tests.served import message_ids

RESOURCE = {
    'Name': "it's",
    'Size': 10,
    'Current': True,
    'Parent': None,
    'Created': '2026-11-25T10:00:00Z',
    'Status': {'State': 'Enabled'},
    '@odata.id': '/x',
}


@pytest.mark.parametrize(
    'text, wanted',
    [
        ("Name eq 'it''s'", True),
        ("Name ne 'it''s'", False),
        ('Size gt 9', True),
        ('Size gt 10', False),
        ('Size ge 10', True),
        ('Size lt 10.5', True),
        ('Size le 9', False),
        ('Size eq -1', False),
        ('Current eq true', True),
        ('Current eq 1', False),
        ('Parent eq null', True),
        ('Parent ne null', False),
        ('Nothing eq null', True),
        ("Nothing eq 'x'", False),
        ("Nothing ne 'x'", True),
        ("Nothing gt 'x'", False),
        ("Name gt 5", False),
        ("Status/State eq 'Enabled'", True),
        ("Name/State eq 'x'", False),
        ("Created ge '2026-11-25T00:00:00Z'", True),
        ('Created lt 2026-11-25T00:00:00Z', False),
        ("@odata.id eq '/x'", True),
        ('Size eq 10 and Current eq false', False),
        ('Size eq 1 or Current eq true', True),
        # and binds more than or, and not most.
        ('Size eq 10 or Size eq 1 and Size eq 2', True),
        ('(Size eq 10 or Size eq 1) and Size eq 2', False),
        ('not Size eq 1 and Current eq true', True),
        ('not (Size eq 10 and Current eq true)', False),
        ('  ( not not ( Size eq 10 ) )  ', True),
    ],
)
def test_filter(text, wanted):
    """An expression says what it says."""
    assert filters.of_resource(text)(RESOURCE) is wanted


@pytest.mark.parametrize(
    'text',
    [
        '',
        'Name',
        'Name eq',
        "eq 'x'",
        "Name eq 'x",
        "Name is 'x'",
        "Name eq 'x' and",
        "(Name eq 'x'",
        "Name eq 'x')",
        'Name eq x',
        "Name eq 'x' Name eq 'y'",
        "'x' eq Name",
        'not',
        '()',
        'Name eq 1e400',
        '(' * 2000,
        'not ' * 500 + 'Name eq 1',
        'Name eq ' + '1' * 5000,
        "../x eq 'y'",
        'Name eq \u0661',
        'Name eq (',
        "Name eq '" + 3000 * 'x' + "'",
    ],
)
def test_filter_that_is_none(text):
    """What is no expression is refused, however long or deep."""
    with pytest.raises(ValueError):
        filters.of_resource(text)


@pytest.fixture
def listed(emulator):
    """A function from a query to the answer; there are a, b and c."""
    for name in 'abc':
        emulator.created(Name=name)
    return lambda query: requests.get(f'{emulator.snapshots_url}?{query}')


def names(response):
    members = response.json()['Members']
    return [m['@odata.id'].rpartition('/')[2] for m in members]


def test_filter_comes_first(listed):
    """$filter chooses, then $skip and $top cut; the total is the chosen."""
    body = listed("$filter=Name ne 'a'&$skip=1&$top=5")

    assert names(body) == ['c']
    assert body.json()['Members@odata.count'] == 2


def test_filter_by_state(listed):
    """The current snapshot can be asked for, whole."""
    body = listed('$filter=Current eq true&$expand=.').json()

    assert [member['Name'] for member in body['Members']] == ['c']


def test_only(emulator):
    """``only`` gives the one member there is, else the collection."""
    emulator.created(Name='a')
    url = f'{emulator.snapshots_url}?only'

    assert requests.get(url).json()['Name'] == 'a'
    emulator.created(Name='b')
    assert names(requests.get(url)) == ['a', 'b']


def test_select(listed):
    """$select leaves what is named, the members and the annotations."""
    body = listed('$expand=.&$select=Members/Name,Members/Status/State')
    member = body.json()['Members'][0]

    assert {k for k in member if not k.startswith('@')} == {'Name', 'Status'}
    assert member['Status'] == {'State': 'Enabled'}
    assert member['@odata.id'] and member['@odata.type']
    assert set(listed('$select=Name').json()) == {
        '@odata.id',
        '@odata.type',
        'Name',
        'Members',
        'Members@odata.count',
    }


@pytest.mark.parametrize(
    'query, status, key',
    [
        ('$filter=Name', 400, 'QueryParameterValueFormatError'),
        ('$select=', 400, 'QueryParameterValueFormatError'),
        ('$select=Name,,Id', 400, 'QueryParameterValueFormatError'),
        ('only=x', 400, 'QueryParameterValueFormatError'),
        ('only&$top=1', 400, 'QueryCombinationInvalid'),
        ('$top=-1', 400, 'QueryParameterValueFormatError'),
        ('$orderby=Name', 501, 'QueryParameterUnsupported'),
        ('excerpt', 200, None),
        ('colour=red', 200, None),
    ],
)
def test_queries_that_are_refused(listed, query, status, key):
    """A bad value is a 400, a parameter of the standard's a 501."""
    response = listed(query)

    assert response.status_code == status
    assert key is None or message_ids(response) == [key]


@pytest.mark.parametrize(
    'query', ['$filter=Name eq 1', '$top=1', '$skip=1', 'only']
)
def test_queries_of_collections_on_a_resource(emulator, query):
    """What is for collections is refused elsewhere."""
    uri = emulator.url + emulator.created(Name='a')['@odata.id']

    response = requests.get(f'{uri}?{query}')

    assert response.status_code == 400
    assert message_ids(response) == ['QueryNotSupportedOnResource']
