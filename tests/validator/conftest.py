# SPDX-License-Identifier: Apache-2.0
"""
A service for the DMTF's validators to look at.

It is the emulator over its fake systems, with TLS and users, or the service
that ``HAWKFISH_VALIDATOR_URL`` names, with ``HAWKFISH_VALIDATOR_USERNAME``
and ``HAWKFISH_VALIDATOR_PASSWORD``.
"""

import contextlib
import dataclasses
import datetime
import ipaddress
import os
import pathlib
from collections.abc import Iterator

import pytest
import requests
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.served import ACTIVATE, Served, user_entry
from tests.validator import dmtf
from tests.waiting import wait_for

URL = os.environ.get('HAWKFISH_VALIDATOR_URL')


@dataclasses.dataclass
class Service:
    url: str
    username: str
    password: str

    def request(self, method: str, path: str, **kw: object) -> object:
        return requests.request(
            method,
            self.url + path,
            auth=(self.username, self.password),
            verify=False,
            timeout=30,
            **kw,
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = pathlib.Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(dmtf.needs_schemas)


@pytest.fixture(scope='session', autouse=True)
def certificates_do_not_matter() -> Iterator[None]:
    urllib3.disable_warnings()
    with pytest.MonkeyPatch.context() as patch:
        for name in dmtf.CA_VARIABLES:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope='session')
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with snapshots and tasks of each kind."""
    if URL:
        yield Service(
            URL,
            os.environ.get('HAWKFISH_VALIDATOR_USERNAME', 'admin'),
            os.environ.get('HAWKFISH_VALIDATOR_PASSWORD', 'letmein-42'),
        )
        return
    with _served(tmp_path_factory.mktemp('ours'), ACTIVATE) as found:
        _fill(found)
        yield found


@pytest.fixture(scope='session')
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The emulator without the plugin."""
    with _served(tmp_path_factory.mktemp('stock'), '') as found:
        yield found


@contextlib.contextmanager
def _served(folder: pathlib.Path, preamble: str) -> Iterator[Service]:
    (folder / 'users').write_text(user_entry('admin', 'letmein-42'))
    (folder / 'roles').write_text('admin:Administrator\n')
    _make_certificate(folder)
    emulator = Served(
        folder,
        config=(
            f'SUSHY_EMULATOR_AUTH_FILE = {str(folder / "users")!r}\n'
            f'SUSHY_EMULATOR_SSL_CERT = {str(folder / "cert.pem")!r}\n'
            f'SUSHY_EMULATOR_SSL_KEY = {str(folder / "key.pem")!r}\n'
        ),
        preamble=preamble,
        scheme='https',
        OS_ACCOUNTS__ROLES_FILE=str(folder / 'roles'),
        OS_ACCOUNTS__WRITABLE='true',
    ).start()
    try:
        yield Service(emulator.url, 'admin', 'letmein-42')
    finally:
        emulator.stop()


def _fill(service: Service) -> None:
    """Snapshots in a tree, a group, and tasks that succeeded and failed."""
    base = '/redfish/v1/Systems/fake/Oem/HawkFish/Snapshots'
    for name in ('root', 'left'):
        _wait(service, service.request('POST', base, json={'Name': name}))
    action = f'{base}/root/Actions/HawkFishSnapshot.Revert'
    _wait(service, service.request('POST', action, json={}))
    _wait(service, service.request('POST', base, json={'Name': 'right'}))
    action = f'{base}/right/Actions/HawkFishSnapshot.Export'
    _wait(service, service.request('POST', action, json={}))
    doomed = service.request('POST', base, json={'Name': 'gone'})
    _wait(service, doomed)
    _wait(service, service.request('DELETE', f'{base}/gone'))
    group = service.request(
        'POST',
        '/redfish/v1/AggregationService/Aggregates',
        json={'Elements': [{'@odata.id': '/redfish/v1/Systems/fake'}]},
    ).headers['Location']
    for name in ('clean', 'tested'):
        uri = f'{group}/Oem/HawkFish/Snapshots'
        _wait(service, service.request('POST', uri, json={'Name': name}))
    # A group snapshot that is not whole.
    _wait(service, service.request('DELETE', f'{base}/clean'))
    _schedule(service, base, group)
    subscription = {
        'Destination': 'https://127.0.0.1:9/',
        'Protocol': 'Redfish',
        'Context': 'validator',
    }
    service.request(
        'POST', '/redfish/v1/EventService/Subscriptions', json=subscription
    )


def _schedule(service: Service, snapshots: str, group: str) -> None:
    """Schedules: one that has run, one that was refused, one for later."""
    now = {'RecurrenceInterval': 'P1D', 'EnabledDaysOfWeek': ['Every']}
    later = {
        'InitialStartTime': '2037-01-01T02:00:00+01:00',
        'RecurrenceInterval': 'PT12H',
        'EnabledDaysOfWeek': ['Monday'],
        'EnabledDaysOfMonth': [1, 2, 3, 4, 5, 6, 7],
        'EnabledMonthsOfYear': ['March'],
        'MaxOccurrences': 9,
        'Lifetime': 'P9999D',
    }
    verify = f'{snapshots}/left/Actions/HawkFishSnapshot.Verify'
    for name, schedule, uri in (
        ('done', now, snapshots),
        ('refused', now, f'{snapshots.rpartition("/")[0]}/Backups'),
        ('later', later, f'{group}/Oem/HawkFish/Snapshots'),
        ('once', {}, verify),
    ):
        payload = {'TargetUri': uri, 'JsonBody': '{}'}
        made = service.request(
            'POST',
            '/redfish/v1/JobService/Jobs',
            json={'Name': name, 'Schedule': schedule, 'Payload': payload},
        )
        assert made.status_code == 201, made.text
    for name in ('done', 'refused', 'once'):
        uri = f'/redfish/v1/JobService/Jobs/{name}'
        wait_for(
            lambda uri=uri: service.request('GET', uri).json()['Oem'][
                'HawkFish'
            ]['LastRun'],
            f'a run of {name}',
        )


def _wait(service: Service, accepted: requests.Response) -> None:
    assert accepted.status_code == 202, accepted.text
    monitor = accepted.headers['Location']
    wait_for(
        lambda: service.request('GET', monitor).status_code != 202,
        f'the end of {accepted.text}',
    )


def _make_certificate(folder: pathlib.Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, 'localhost')])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address('127.0.0.1'))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), False)
        .sign(key, hashes.SHA256())
    )
    (folder / 'key.pem').write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (folder / 'cert.pem').write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
    )
