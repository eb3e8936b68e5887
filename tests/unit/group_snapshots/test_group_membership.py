# SPDX-License-Identifier: Apache-2.0
"""What a group is stays so from the request to the end of its task."""

import concurrent.futures
import threading

import pytest
import requests

from hawkfish_plugin import exceptions, locks
from hawkfish_plugin.operations.group_admission import GroupOptions
from hawkfish_plugin.operations.group_create import GroupCreate
from hawkfish_plugin.tasks.task import COMPLETED
from tests.served import message_ids
from tests.unit.group_snapshots.labs import TRIO
from tests.waiting import wait_for


def change(lab, what):
    if what == 'DELETE':
        return requests.delete(lab.url('/lab'))
    system = {'AddElements': 'node-3', 'RemoveElements': 'node-1'}[what]
    return requests.post(
        lab.url(f'/lab/Actions/Aggregate.{what}'),
        json={'Elements': lab.elements(system)},
    )


@pytest.mark.parametrize('what', ['DELETE', 'AddElements', 'RemoveElements'])
def test_a_group_does_not_change_while_a_request_looks_at_it(
    lab, monkeypatch, what
):
    """Its look takes as long as the hypervisor needs for all systems."""
    driver = lab.emulator.driver
    looking, go = threading.Event(), threading.Event()
    check_create = driver.check_create

    def look_slowly(uuid, request):
        looking.set()
        assert go.wait(60)
        return check_create(uuid, request)

    monkeypatch.setattr(driver, 'check_create', look_slowly)
    monkeypatch.setattr(locks, 'REQUEST_TIMEOUT', 0.1)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(lab.post_create, Name='a')
        try:
            assert looking.wait(60)
            refused = change(lab, what)
        finally:
            go.set()

    assert refused.status_code == 503
    assert message_ids(refused) == ['GroupLocked']
    assert lab.emulator.wait(asked.result()).status_code == 201
    assert lab.show('a')['SnapshotState'] == 'Ready'


def test_a_request_is_of_the_group_that_its_name_has_by_then(lab):
    """It was deleted after the request had looked it up, and made anew."""
    services = lab.emulator.services
    create = services.operations.get(GroupCreate)
    former = services.groups.group('lab')
    requests.delete(lab.url('/lab'))
    with pytest.raises(exceptions.GroupNotFound):
        create.submit(former, GroupOptions('a'), {})
    lab.create('node-5', 'node-6', Name='lab')

    task = create.submit(former, GroupOptions('a'), {})

    wait_for(lambda: not services.tasks.get(task.id).active, 'its end')
    assert services.tasks.get(task.id).state == COMPLETED
    assert [p['Name'] for p in lab.show('a')['Systems']] == [
        'node-5',
        'node-6',
    ]
    assert [lab.names_of(name) for name in TRIO] == [[]] * 3


@pytest.mark.parametrize(
    'again,key',
    [((), 'ResourceNotFound'), (('node-0', 'node-5'), 'GroupNotMember')],
)
def test_what_cannot_be_noted_is_removed(lab, again, key):
    """As the group has gone in spite of all, or is another one."""
    with lab.emulator.slow():
        accepted = lab.post_create(Name='a')
        lab.wait_captures(accepted)
        lab.emulator.services.group_table.delete('lab')
        if again:
            lab.create(*again, Name='lab')

    response = lab.emulator.wait(accepted)

    assert response.status_code == 409
    assert {*message_ids(response)} == {'GroupCreateUndone', key}
    assert [lab.names_of(name) for name in TRIO] == [[]] * 3
