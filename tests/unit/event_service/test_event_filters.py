# SPDX-License-Identifier: Apache-2.0
"""Which events the filters of subscriptions and streams let pass."""

import pytest

from hawkfish_plugin import events
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.events import filters

# Filters


def event_of(message_id='HawkFish.1.0.SnapshotCreated', uri='/r/a/b'):
    origin = events.Origin(uri, 'HawkFishSnapshot', contract.System('u', 'n'))
    return events.Event(1, 1, 0.0, message_id, ['s', 'n'], origin)


@pytest.mark.parametrize(
    'properties, passes',
    [
        ({}, True),
        ({'RegistryPrefixes': ['HawkFish']}, True),
        ({'RegistryPrefixes': ['TaskEvent']}, False),
        ({'ExcludeRegistryPrefixes': ['HawkFish']}, False),
        ({'ExcludeRegistryPrefixes': ['TaskEvent']}, True),
        ({'MessageIds': ['HawkFish.SnapshotCreated']}, True),
        ({'MessageIds': ['HawkFish.1.0.SnapshotCreated']}, True),
        ({'MessageIds': ['HawkFish.2.3.4.SnapshotCreated']}, True),
        ({'MessageIds': ['HawkFish.SnapshotDeleted']}, False),
        ({'ExcludeMessageIds': ['HawkFish.1.9.SnapshotCreated']}, False),
        ({'ResourceTypes': ['HawkFishSnapshot']}, True),
        ({'ResourceTypes': ['Task']}, False),
        ({'Severities': ['Critical']}, False),
        ({'OriginResources': ['/r/a/b/']}, True),
        ({'OriginResources': ['/r/a']}, False),
        ({'OriginResources': ['/r/a'], 'SubordinateResources': True}, True),
        (
            {'OriginResources': ['/r/a/bc'], 'SubordinateResources': True},
            False,
        ),
    ],
)
def test_the_filters_of_a_subscription(properties, passes):
    """Each property lets through what the standard says."""
    assert filters.of_subscription(properties)(event_of()) is passes


@pytest.mark.parametrize(
    'text, passes',
    [
        ('RegistryPrefix eq HawkFish', True),
        ("(RegistryPrefix eq 'HawkFish')", True),
        ('RegistryPrefix ne HawkFish', False),
        ('not RegistryPrefix eq HawkFish', False),
        (
            'RegistryPrefix eq TaskEvent or ResourceType eq HawkFishSnapshot',
            True,
        ),
        (
            'RegistryPrefix eq TaskEvent and ResourceType eq HawkFishSnapshot',
            False,
        ),
        ('MessageId eq HawkFish.1.0.SnapshotCreated', True),
        ("EventFormatType eq 'Event'", True),
        ('EventFormatType eq MetricReport', False),
        ('OriginResource eq /r/a', False),
        ('OriginResource eq /r/a and SubordinateResources eq true', True),
        (
            'RegistryPrefix eq A or (RegistryPrefix eq HawkFish '
            'and (OriginResource eq /r/a/b))',
            True,
        ),
        ("RegistryPrefix eq 'a ''b'''", False),
    ],
)
def test_the_filter_of_a_stream(text, passes):
    """``$filter`` compares, combines and nests."""
    assert filters.parse(text)(event_of()) is passes


@pytest.mark.parametrize(
    'text',
    [
        '',
        'x',
        'RegistryPrefix',
        'RegistryPrefix eq',
        "RegistryPrefix eq '",
        'Nonsense eq 5',
        'RegistryPrefix gt A',
        '(RegistryPrefix eq A',
        'RegistryPrefix eq A)',
        'RegistryPrefix eq A and',
        'RegistryPrefix eq (',
        'SubordinateResources eq maybe',
        'RegistryPrefix eq A RegistryPrefix eq B',
        '(' * 200,
        'not ' * 200,
    ],
)
def test_a_filter_that_is_none(text):
    """What cannot be understood is told, whatever it is."""
    with pytest.raises(ValueError):
        filters.parse(text)
