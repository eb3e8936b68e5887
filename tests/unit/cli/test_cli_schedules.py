# SPDX-License-Identifier: Apache-2.0
"""``hawkfish schedule`` against the emulator."""

import datetime
import re

import pytest

from hawkfish_plugin.cli import cells
from tests.waiting import wait_for

FAR = '2037-01-02T02:30:00+01:00'


@pytest.fixture(autouse=True)
def no_schedules(emulator):
    yield
    table = emulator.services.schedules
    for one in table.list():
        table.delete(one.name, lambda _: None)


def test_life_of_a_schedule(hawkfish, data):
    created = data(
        *('schedule', 'create', 'nightly', '--system', 'fake'),
        *('--every', '1d', '--start', FAR, '--weekday', 'monday'),
        *('--keep-last', '3', '--keep-daily', '7', '--description', 'x'),
    )

    assert created['Start'] == FAR
    assert created['Every'] == 'P1D'
    assert created['Days of Week'] == ['Monday']
    assert created['Keep Daily'] == 7
    assert created['Body'] == '{"Description": "x"}'
    assert created['Next Run'] == '2037-01-05T01:30:00Z'
    assert data('schedule', 'show', 'nightly') == created
    [listed] = data('schedule', 'list')
    assert listed['Name'] == 'nightly'
    assert listed['State'] == 'Pending'
    done = hawkfish('schedule', 'suspend', 'nightly')
    assert done == (0, '', 'Suspended schedule nightly.\n')
    assert data('schedule', 'show', 'nightly')['State'] == 'Suspended'
    done = hawkfish('schedule', 'resume', 'nightly')
    assert done == (0, '', 'Resumed schedule nightly.\n')
    assert data('schedule', 'show', 'nightly')['State'] == 'Pending'
    done = hawkfish('schedule', 'delete', 'nightly')
    assert done == (0, '', 'Deleted schedule nightly.\n')
    assert data('schedule', 'list') == []


def test_people_see_a_table(hawkfish):
    hawkfish(
        *('schedule', 'create', 'nightly', '--system', 'fake'),
        *('--every', '12h', '--start', FAR),
    )
    status, out, _ = hawkfish('schedule', 'list')
    assert status == 0
    assert '12h' in out
    assert 'snapshot fake' in out
    assert 'nightly' in out

    status, out, _ = hawkfish('schedule', 'show', 'nightly')
    rows = dict(re.findall(r'^\| (\S.*?) +\| (.*?) +\|$', out, re.MULTILINE))
    assert status == 0
    assert rows['Target'] == 'snapshot fake'
    assert rows['Every'] == '12h'
    assert (rows['Body'], rows['Keep Last']) == ('', '')
    assert max(map(len, out.splitlines())) <= 80


def test_what_became_of_the_last_run(hawkfish, data, emulator):
    """The run was started; its task tells the rest."""
    hawkfish('schedule', 'create', 'now', '--system', 'fake', '--every', '1h')

    def ended():
        shown = data('schedule', 'show', 'now')
        task = shown['Last Task']
        return task and data('task', 'show', task)['State'] == 'Completed'

    wait_for(ended)
    _, out, _ = hawkfish('schedule', 'show', 'now')

    task = data('schedule', 'show', 'now')['Last Task']
    assert f'{task} (Completed)' in out


def test_a_run_that_is_due():
    """It is not in the past, though nobody has begun it yet."""
    moment = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)

    assert cells.due(moment).human_readable() == '2020-01-01T00:00:00Z (due)'
    assert cells.due(moment).brief().human_readable() == 'due'
    assert cells.exact(cells.due(moment)) == '2020-01-01T00:00:00Z'


@pytest.mark.parametrize(
    'words, target',
    [
        (['--backup', '--full'], 'Backups'),
        (
            ['--verify'],
            'Snapshots/Actions/HawkFishSnapshotCollection.VerifyNewest',
        ),
    ],
)
def test_other_targets(data, emulator, words, target):
    created = data(
        *('schedule', 'create', '--system', 'fake', '--start', FAR),
        *words,
    )
    path = f'Systems/{emulator.system}/Oem/HawkFish/{target}'
    assert created['Target'] == path


def test_a_group(data, hawkfish):
    hawkfish('group', 'create', 'lab', 'fake')
    created = data(
        *('schedule', 'create', '--group', 'lab', '--start', FAR),
        *('--consistency', 'live'),
    )
    assert created['Target'].endswith('Aggregates/lab/Oem/HawkFish/Snapshots')
    assert created['Body'] == '{"Consistency": "Live"}'


@pytest.mark.parametrize(
    'words, told',
    [
        (['--system', 'fake', '--full'], '--full is for schedules of a'),
        (['--group', 'lab', '--verify'], 'a group can only have'),
        (['--system', 'fake', '--verify', '--lock'], '--lock is not for'),
        (['--system', 'fake', '--start', '2037-01-01T00:00'], 'no time zone'),
        (['--system', 'fake', '--keep-last', '-1'], 'whole number'),
        ([], 'one of the arguments --system --group'),
    ],
)
def test_what_makes_no_sense(hawkfish, words, told):
    status, _, err = hawkfish('schedule', 'create', *words)

    assert status == 2
    assert told in ' '.join(err.split())


def test_too_often(hawkfish):
    """It is the option that is wrong."""
    status, _, err = hawkfish(
        *('schedule', 'create', 'x', '--system', 'fake', '--every', '1s')
    )

    assert (status, err) == (1, '--every must be at least one minute.\n')


def test_a_name_that_nothing_has(hawkfish):
    hawkfish(
        *('schedule', 'create', 'nightly', '--system', 'fake'),
        *('--start', FAR),
    )
    status, _, err = hawkfish('schedule', 'show', 'nope')

    assert status == 1
    assert "There is no schedule 'nope'. There are: nightly." in err
