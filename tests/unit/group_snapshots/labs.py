# SPDX-License-Identifier: Apache-2.0
"""A group of systems whose snapshots are taken over HTTP."""

import dataclasses
from typing import Any

import requests

from hawkfish_plugin import exceptions
from tests.unit.conftest import NODES
from tests.unit.test_groups import ROOT, Lab
from tests.waiting import wait_for

TRIO = ('node-0', 'node-1', 'node-2')


class Once(dict[str, exceptions.HawkFishError]):
    """Errors, each of which is met once."""

    def __getitem__(self, place: str) -> exceptions.HawkFishError:
        return self.pop(place)


@dataclasses.dataclass
class Snapshots(Lab):
    """The snapshots of the group *name*, which has three systems."""

    name: str = 'lab'

    def collection(self, path: str = '') -> str:
        return self.url(f'/{self.name}/Oem/HawkFish/Snapshots{path}')

    def post_create(self, **body: object) -> requests.Response:
        return requests.post(self.collection(), json=body)

    def made(self, **body: object) -> dict[str, Any]:
        """What a successful create has made."""
        response = self.emulator.wait(self.post_create(**body))
        assert response.status_code == 201, response.text
        return response.json()

    def all(self) -> list[dict[str, Any]]:
        response = requests.get(self.collection('?$expand=.'))
        assert response.status_code == 200, response.text
        return response.json()['Members']

    def names(self) -> list[str]:
        return [snapshot['Name'] for snapshot in self.all()]

    def show(self, name: str) -> dict[str, Any]:
        response = requests.get(self.collection(f'/{name}'))
        assert response.status_code == 200, response.text
        return response.json()

    def post_revert(self, name: str, **body: object) -> requests.Response:
        return requests.post(
            self.collection(f'/{name}/Actions/HawkFishGroupSnapshot.Revert'),
            json=body,
        )

    def reverted(self, name: str, **body: object) -> dict[str, Any]:
        accepted = self.post_revert(name, **body)
        response = self.emulator.wait(accepted)
        assert response.status_code == 200, response.text
        return self.task(accepted)

    def send_delete(self, name: str) -> requests.Response:
        return requests.delete(self.collection(f'/{name}'))

    def of(self, system: str) -> str:
        """Where the snapshots of one system are."""
        return (
            f'{self.emulator.url}{ROOT}/Systems/{NODES[system]}'
            '/Oem/HawkFish/Snapshots'
        )

    def names_of(self, system: str) -> list[str]:
        listed = requests.get(f'{self.of(system)}?$expand=.').json()
        return [member['Name'] for member in listed['Members']]

    def current_of(self, system: str) -> list[str]:
        listed = requests.get(f'{self.of(system)}?$expand=.').json()
        return [m['Name'] for m in listed['Members'] if m['Current']]

    def rename(self, system: str, old: str, new: str) -> None:
        """As another client does."""
        driver, uuid = self.emulator.driver, NODES[system]
        tree = [
            dataclasses.replace(s, name=new) if s.name == old else s
            for s in driver.snapshots(uuid)
        ]
        driver.plant(uuid, tree)

    def task(self, accepted: requests.Response) -> dict[str, Any]:
        number = accepted.headers['Location'].rpartition('/')[2]
        response = requests.get(
            f'{self.emulator.url}{ROOT}/TaskService/Tasks/{number}'
        )
        return response.json()

    def sub_tasks(self, accepted: requests.Response) -> list[dict[str, Any]]:
        link = self.task(accepted)['SubTasks']['@odata.id']
        response = requests.get(f'{self.emulator.url}{link}?$expand=.')
        return response.json()['Members']

    def wait_captures(self, accepted: requests.Response) -> None:
        """Wait until all systems are being captured."""
        task = self.emulator.task(accepted)
        wait_for(
            lambda: (
                [
                    part.step
                    for part in self.emulator.services.tasks.sub_tasks(task.id)
                ]
                == ['capture'] * len(TRIO)
            ),
            'the captures',
        )

    def only(self, *names: str) -> None:
        """What is asked of the behaviour is for these systems."""
        self.emulator.behaviour.only = {NODES[name] for name in names}

    def fail(
        self,
        place: str,
        *names: str,
        error: exceptions.HawkFishError | None = None,
    ) -> None:
        self.only(*names)
        operation = place.partition(':')[0]
        self.emulator.behaviour.fail_at = Once(
            {
                place: error
                or exceptions.OperationFailed(operation, 'told to fail')
            }
        )


# Retention ----------------------------------------------------------------


def set_policy(lab, system, **limits):
    url = f'{lab.of(system).removesuffix("Snapshots")}SnapshotPolicy'
    assert requests.patch(url, json=limits).status_code == 200
