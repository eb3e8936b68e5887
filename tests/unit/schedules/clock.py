# SPDX-License-Identifier: Apache-2.0
"""
Schedules in a time of the test's own.

The fake driver does all that is asked for.  The emulator's own runs are after
the time that it is, and those of the tests are years ahead.
"""

import datetime

import requests

from hawkfish_plugin.operations.scheduling import Scheduling

DAY = 86_400
HOUR = 3600
# A Friday.
START = datetime.datetime(2037, 1, 2, 2, 30, tzinfo=datetime.UTC)
BEGIN = int(START.timestamp())


class Clock:
    now = BEGIN - 60.0

    def __call__(self):
        return self.now


class Service:
    """The schedules of an emulator, and the runs by the clock of a test."""

    def __init__(self, emulator):
        self.emulator = emulator
        self.clock = Clock()
        self.url = f'{emulator.url}/redfish/v1/JobService/Jobs'
        self.scheduling = self.process()

    def process(self):
        """One that runs what is due; there may be several."""
        services = self.emulator.services
        access = services._access
        return Scheduling(
            services.schedules,
            services.tasks,
            services.catalogue,
            services.groups,
            services.group_table,
            services.operations,
            access.acting_for,
            access.may_tell,
            services.ownership.objection,
            self.clock,
        )

    def create(self, name='nightly', uri=None, body=None, keep=None, **when):
        schedule = {
            'InitialStartTime': START.isoformat(),
            'RecurrenceInterval': 'P1D',
            **when,
        }
        uri = uri or self.snapshots()
        response = requests.post(
            self.url,
            json={
                'Name': name,
                'Schedule': schedule,
                'Payload': {'TargetUri': uri, 'JsonBody': body or {}},
                'Oem': {'HawkFish': {'Retention': keep or {}}},
            },
            timeout=60,
        )
        assert response.status_code == 201, response.text
        return response.json()

    def snapshots(self, system=None):
        return self.emulator.snapshots_url.removeprefix(
            self.emulator.url
        ).replace(self.emulator.system, system or self.emulator.system)

    def at(self, seconds):
        """It is *seconds* after the start, and what is due is begun."""
        self.clock.now = BEGIN + seconds
        self.scheduling.periodic()
        self.emulator.wait_idle()

    def show(self, name='nightly'):
        return requests.get(f'{self.url}/{name}', timeout=60).json()

    def last(self, name='nightly'):
        return self.show(name)['Oem']['HawkFish']['LastRun']

    def count(self, name='nightly'):
        return self.show(name)['Oem']['HawkFish']['OccurrenceCount']

    def names(self, system=None):
        return self.emulator.driver.names(system or self.emulator.system)

    def row(self, name='nightly'):
        return self.emulator.services.schedules.get(name)

    def events(self, message):
        events = self.emulator.services.events
        return [
            e.args
            for e in events.after(self.before, 10_000)
            if e.message_id.endswith(message)
        ]


def stamp(seconds):
    at = START + datetime.timedelta(seconds=seconds)
    return f'{at:%Y%m%dT%H%M%SZ}'
