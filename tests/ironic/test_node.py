# SPDX-License-Identifier: Apache-2.0
"""What Ironic does with a node, with and without the hardware type."""

import json

import pytest
import requests

from tests.ironic.service import Node, steps
from tests.served import FAKE_UUID, Served


@pytest.fixture
def created(backend, node):
    """The snapshot "clean" of the node, which runs."""
    assert node.passthru('create_snapshot', name='clean') is None
    return node


# Ironic's own redfish ------------------------------------------------------


def test_redfish_node(enroll, backend):
    """The emulator with the plugin is a BMC as good as the stock one."""
    node = enroll('redfish')

    assert node.shown['provision_state'] == 'manageable'
    for verb, state in (
        ('power on', 'power on'),
        ('reboot', 'power on'),
        ('power off', 'power off'),
    ):
        node.act(verb)
        node.wait('target_power_state', None)
        node.wait('power_state', state)
    node.act('boot device set', 'disk', '--persistent')
    told = json.loads(node.act('boot device show', '-f', 'json'))
    assert told['boot_device'] == 'disk'


def test_power_state_follows_a_revert(enroll, backend):
    """What a revert did to the power, Ironic learns by itself."""
    node = enroll('redfish')
    node.act('power off')
    node.wait('power_state', 'power off')
    backend.emulator.create(backend.uuid, Name='off')
    node.act('power on')
    node.wait('power_state', 'power on')

    backend.emulator.revert(backend.uuid, 'off')

    backend.wait_power('Off')
    node.wait('power_state', 'power off', seconds=30)


# Vendor passthru -----------------------------------------------------------


def test_passthru(created, backend):
    """Create, list, revert and delete by vendor passthru."""
    node = created
    assert node.listed() == ['clean']
    assert node.passthru('create_snapshot', name='later') is None
    assert node.listed() == ['clean', 'later']

    assert node.passthru('revert_snapshot', name='clean') is None
    assert backend.emulator.snapshot(backend.uuid, 'clean')['Current']
    assert node.shown['power_state'] == 'power on'

    assert node.passthru('delete_snapshot', name='later') is None
    assert node.listed() == ['clean']


def test_passthru_to_another_power_state(created, backend):
    """Ironic knows the new power state at once."""
    error = created.passthru(
        'revert_snapshot', name='clean', target_power_state='Off'
    )

    assert error is None
    if backend.is_real:
        assert created.shown['power_state'] == 'power off'
    backend.wait_power('Off')


def test_passthru_tells_why(created):
    """What the service refuses is the node's last error, in its words."""
    error = created.passthru('revert_snapshot', name='missing')

    assert "Snapshots/missing' was not found" in error


def test_bad_arguments(node):
    """A call that cannot be right is refused at once, and begins nothing."""
    for method, argument, told in (
        ('revert_snapshot', 'timeout=1', 'name is missing'),
        ('delete_snapshot', 'force=yes', 'name is missing'),
        ('create_snapshot', 'force=yes', 'no argument force'),
        ('create_snapshot', 'include_memory=maybe', 'include_memory'),
        ('create_snapshot', 'timeout=-1', 'above 0'),
        ('create_snapshot', 'timeout=inf', 'above 0'),
        ('eject_snapshot', 'name=a', 'eject_snapshot'),
    ):
        done = node.try_act('passthru call', method, '--arg', argument)

        assert done.returncode == 1, method
        assert told in done.stderr
    assert node.listed() == []


def test_emulator_without_the_plugin(ironic, tmp_path):
    """Who forgot to activate the plugin is told so."""
    stock = Served(tmp_path, preamble='').start()
    node = Node(ironic, 'node-stock', 'hawkfish', stock.url, FAKE_UUID)

    done = node.try_act(
        'passthru call', '--http-method', 'GET', 'list_snapshots'
    )
    node.remove()
    stock.stop()

    assert done.returncode == 1
    assert 'HawkFish Snapshots is not activated there' in done.stderr


# The step ------------------------------------------------------------------


def test_clean(created, backend):
    """One ``node clean`` takes a node back; its power state is as before."""
    created.act('power off')
    created.wait('power_state', 'power off')

    created.act(
        *('clean', '--clean-steps', steps('clean')),
        *('--disable-ramdisk', '--wait', '120'),
    )

    assert created.shown['provision_state'] == 'manageable'
    assert created.shown['power_state'] == 'power off'
    backend.wait_power('Off')


def test_clean_that_cannot_be(created):
    """A step that fails leaves the node in "clean failed", and says why."""
    done = created.try_act(
        *('clean', '--clean-steps', steps('missing')),
        *('--disable-ramdisk', '--wait', '120'),
    )

    shown = created.shown
    assert done.returncode == 1
    assert shown['provision_state'] == 'clean failed'
    assert "Snapshots/missing' was not found" in shown['last_error']
    created.act('maintenance unset')
    created.act('manage', '--wait', '60')


@pytest.fixture
def grouped(backend, node):
    """A function that puts the node's system into a group with a snapshot."""
    groups = f'{backend.emulator.url}/redfish/v1/AggregationService/Aggregates'
    made = []

    def group(name, snapshot):
        element = {'@odata.id': f'/redfish/v1/Systems/{backend.uuid}'}
        requests.post(
            groups, json={'Name': name, 'Elements': [element]}, timeout=60
        ).raise_for_status()
        made.append(f'{groups}/{name}')
        created = requests.post(
            f'{groups}/{name}/Oem/HawkFish/Snapshots',
            json={'Name': snapshot},
            timeout=60,
        )
        assert backend.emulator.wait(created).status_code == 201

    yield group
    for url in made:
        requests.delete(url, timeout=60).raise_for_status()


def clean_group(node, name, **arguments):
    return node.try_act(
        'clean',
        *('--clean-steps', steps(name, 'revert_group', **arguments)),
        *('--disable-ramdisk', '--wait', '120'),
    )


def test_clean_of_a_group(node, backend, grouped):
    """One ``node clean`` takes the lab back; the node's power is as before."""
    grouped('lab', 'clean')
    node.act('power off')
    node.wait('power_state', 'power off')

    done = clean_group(node, 'clean')

    assert done.returncode == 0, done.stderr
    assert node.shown['provision_state'] == 'manageable'
    assert node.shown['power_state'] == 'power off'
    backend.wait_power('Off')
    (revert,) = [
        task
        for task in backend.emulator.tasks()
        if task['Oem']['HawkFish']['Operation'] == 'group-revert'
    ][-1:]
    assert revert['TaskState'] == 'Completed'
    assert revert['Oem']['HawkFish']['Snapshot'] == 'clean'


@pytest.mark.parametrize(
    'groups, arguments, told',
    [
        ([], {}, 'The node is in no group that may be reverted'),
        (['secret'], {}, 'The node is in no group that may be reverted'),
        (['secret'], {'group': 'secret'}, 'not in a group secret that may be'),
        (['lab', 'other'], {}, 'Name the group: the node is in lab, other.'),
        (['lab'], {'group': 'other'}, 'not in a group other that may be'),
    ],
)
def test_a_group_that_may_not_be_reverted(
    node, grouped, groups, arguments, told
):
    """Only what the operator has allowed, and no group by guess."""
    for number, name in enumerate(groups):
        grouped(name, f'clean-{number}')

    done = clean_group(node, 'clean-0', **arguments)

    shown = node.shown
    assert done.returncode == 1
    assert shown['provision_state'] == 'clean failed'
    assert told in shown['last_error']
    node.act('maintenance unset')
    node.act('manage', '--wait', '60')


def test_service(created, backend, ironic):
    """A node in use is taken back, and stays in use."""
    created.act('set', '--instance-info', f'boot_iso={ironic.boot_iso}')
    created.act('adopt', '--wait', '60')

    created.act(
        *('service', '--service-steps', steps('clean')),
        *('--disable-ramdisk', '--wait', '120'),
    )

    assert created.shown['provision_state'] == 'active'
    assert created.shown['power_state'] == 'power on'
    backend.wait_power('On')


def test_deploy(created, backend, ironic):
    """A deployment that begins with the step ends in an active node."""
    created.act('set', '--instance-info', f'boot_iso={ironic.boot_iso}')
    created.act('provide', '--wait', '60')
    step = {**json.loads(steps('clean'))[0], 'priority': 110}

    created.act(
        *('deploy', '--deploy-steps', json.dumps([step])), *('--wait', '120')
    )

    assert created.shown['provision_state'] == 'active'
    reverts = [
        task
        for task in backend.emulator.tasks()
        if task['Oem']['HawkFish']['Operation'] == 'revert'
    ]
    assert reverts[-1]['TaskState'] == 'Completed'


def test_data_come_back(enroll, guest):
    """What a real guest wrote after the snapshot is gone after a clean."""
    node = enroll(uuid=guest.uuid)
    guest.write('one')
    assert node.passthru('create_snapshot', name='clean') is None
    guest.write('two')

    node.act(
        *('clean', '--clean-steps', steps('clean')),
        *('--disable-ramdisk', '--wait', '120'),
    )

    assert guest.read() == {'one'}
