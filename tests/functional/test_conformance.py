# SPDX-License-Identifier: Apache-2.0
"""The DMTF's validators, against systems of a real hypervisor."""

import pytest
import requests

from tests.functional.conftest import SMALL
from tests.served import ACTIVATE, Served
from tests.validator import dmtf, figures

pytestmark = pytest.mark.once


@pytest.fixture
def group(make_system, emulator):
    """A group with snapshots in several states; where it is."""
    systems = [make_system(**SMALL) for _ in range(2)]
    systems[0].domain.create()
    made = requests.post(
        f'{emulator.url}/redfish/v1/AggregationService/Aggregates',
        json={
            'Name': 'lab',
            'Elements': [
                {'@odata.id': f'/redfish/v1/Systems/{system.uuid}'}
                for system in systems
            ],
        },
    )
    snapshots = (
        f'{emulator.url}{made.headers["Location"]}/Oem/HawkFish/Snapshots'
    )
    for name in ('whole', 'mixed', 'incomplete'):
        body = {'Name': name, 'Description': 'a known state'}
        ended = emulator.wait(requests.post(snapshots, json=body))
        assert ended.status_code == 201, ended.text
    emulator.revert(systems[0].uuid, 'mixed')
    emulator.delete(systems[1].uuid, 'incomplete')
    return made.headers['Location']


@dmtf.needs_schemas
def test_nothing_to_say_about_what_is_ours(
    make_system, emulator, group, tmp_path
):
    """The validator neither fails nor warns in what we serve."""
    system = make_system(**SMALL)
    emulator.create(system.uuid, Name='root', Description='as installed')
    emulator.create(system.uuid, Name='left')
    emulator.revert(system.uuid, 'root')
    emulator.create(system.uuid, Name='right')
    emulator.create(system.uuid, Name='gone')
    emulator.delete(system.uuid, 'gone')

    whole, found = dmtf.validate(emulator.url, 'any', 'any', tmp_path)
    results = dmtf.of_ours(whole)

    for part in (
        f'{system.uuid}/Oem/HawkFish/Snapshots/left',
        'Tasks/',
        group,
        *(
            f'{group}/Oem/HawkFish/Snapshots/{name}'
            for name in ('whole', 'mixed', 'incomplete')
        ),
    ):
        assert any(part in uri for uri in results)
    assert not {
        u: r for u, r in results.items() if r != (dmtf.deprecated(u), 0)
    }
    assert not found.failed, whole


@pytest.fixture
def deployable(make_system):
    """A system as Ironic deploys them: with UEFI, and a GiB of memory."""
    return make_system(**SMALL | {'memory_mib': 1024, 'firmware': 'uefi'})


@pytest.mark.parametrize('service', [figures.STOCK, figures.OURS])
class TestFigures:
    """They are those of the documentation."""

    @pytest.fixture
    def url(self, folder, host, deployable, service):
        """An emulator that knows nothing of the systems of other tests."""
        preamble = '' if service == figures.STOCK else ACTIVATE
        served = Served(folder, host.uri, preamble=preamble).start()
        yield served.url
        served.stop()

    @dmtf.needs_schemas
    def test_service_validator(self, url, service, tmp_path):
        """With the plugin, nothing fails."""
        _, found = dmtf.validate(url, 'any', 'any', tmp_path)

        figures.check('Service', figures.LIBVIRT, service, found)

    @dmtf.needs_profile
    def test_profile_of_ironic(self, url, service, tmp_path):
        """With the plugin, nothing fails."""
        failed, found = dmtf.validate_profile(url, 'any', 'any', tmp_path)

        assert service == figures.STOCK or not failed
        figures.check('Ironic profile', figures.LIBVIRT, service, found)
