# SPDX-License-Identifier: Apache-2.0
"""The audit log, as an administrator reads it."""

import requests

from hawkfish_plugin.drivers.contract import System
from tests.served import FAKE_UUID

SERVICE = '/redfish/v1/Managers/HawkFish/LogServices/Audit'
SYSTEM = f'/redfish/v1/Systems/{FAKE_UUID}'
OF_SYSTEM = f'{SYSTEM}/LogServices/Audit'
SNAPSHOTS = f'{SYSTEM}/Oem/HawkFish/Snapshots'
RESET = f'{SYSTEM}/Actions/ComputerSystem.Reset'
SESSIONS = '/redfish/v1/SessionService/Sessions'

SECRET = 'hunter-2-hunter'
FIRST, SECOND = System('uuid-1', 'one'), System('uuid-2', 'two')


class Log:
    """The log of an emulator, as an administrator reads it."""

    def __init__(self, emulator, auth=None):
        self.url, self._auth = emulator.url, auth

    def send(self, method, path, auth=None, **kwargs):
        return requests.request(
            method,
            self.url + path,
            auth=auth or self._auth,
            timeout=60,
            **kwargs,
        )

    def post(self, path, **kwargs):
        return self.send('POST', path, **kwargs)

    def get(self, path, **query):
        return self.send('GET', path, params=query)

    def entries(self, of=SERVICE, **query):
        """The newest first."""
        answer = self.get(f'{of}/Entries', **query)
        assert answer.status_code == 200, answer.text
        return answer.json()['Members']

    def newest(self, of=SERVICE):
        return self.entries(of, **{'$top': 1})[0]

    def clear(self, of=SERVICE):
        answer = self.post(f'{of}/Actions/LogService.ClearLog', json={})
        assert answer.status_code == 204, answer.text


def of_ours(entry):
    return entry['Oem']['HawkFish']
