# SPDX-License-Identifier: Apache-2.0
"""The page about strangers works as it is written, with a real nginx."""

import concurrent.futures
import os
import pathlib
import shutil
import socket
import subprocess
import textwrap

import pytest
import requests

from tests.served import OWN_WSGI, Served, free_port, is_open, user_entry
from tests.waiting import wait_for

PAGE = pathlib.Path(__file__).parents[2] / 'doc/source/admin/exposing.rst'
NGINX = os.environ.get('HAWKFISH_NGINX') or shutil.which(
    'nginx', path=f'{os.environ["PATH"]}:/usr/sbin'
)
ROOT = '/redfish/v1'
ADMIN = ('admin', 'secret')

pytestmark = pytest.mark.skipif(not NGINX, reason='nginx is not installed')


def block(language):
    """The first block of code in *language* on the page."""
    after = PAGE.read_text().split(f'.. code-block:: {language}\n', 1)[1]
    lines = []
    for line in after.splitlines()[1:]:
        if line and not line.startswith('   '):
            break
        lines.append(line)
    return textwrap.dedent('\n'.join(lines))


def certify(folder):
    subprocess.run(
        [
            *('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes'),
            *('-subj', '/CN=localhost', '-days', '1'),
            *('-addext', 'subjectAltName=DNS:localhost'),
            *('-keyout', folder / 'key.pem', '-out', folder / 'cert.pem'),
        ],
        check=True,
        capture_output=True,
    )


@pytest.fixture
def exposed(tmp_path):
    """The URL of the emulator behind nginx."""
    users = tmp_path / 'users'
    users.write_text(user_entry(*ADMIN))
    options = tmp_path / 'hawkfish.conf'
    options.write_text(block('ini'))
    emulator = Served(
        tmp_path,
        config=f'SUSHY_EMULATOR_AUTH_FILE = {str(users)!r}\n',
        HAWKFISH_CONFIG_FILE=str(options),
    ).use_gunicorn(OWN_WSGI, '--workers', '2', '--threads', '8')
    certify(tmp_path)
    port = free_port()
    site = block('nginx')
    for written, here in (
        ('listen 443', f'listen 127.0.0.1:{port}'),
        ('127.0.0.1:8000', f'127.0.0.1:{emulator.port}'),
        ('/etc/hawkfish/tls', str(tmp_path)),
        ('snapshots.example.com', 'localhost'),
    ):
        assert written in site
        site = site.replace(written, here)
    config = tmp_path / 'nginx.conf'
    folders = ''.join(
        f'{name}_temp_path {tmp_path}/{name};\n'
        for name in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi')
    )
    user = 'user root;\n' if os.geteuid() == 0 else ''
    config.write_text(
        f'{user}daemon off; pid {tmp_path}/pid; error_log stderr;\n'
        f'events {{}}\nhttp {{ access_log off;\n{folders}{site}}}\n'
    )
    emulator.start()
    with (tmp_path / 'nginx.log').open('w') as log:
        nginx = subprocess.Popen(
            [NGINX, '-p', tmp_path, '-c', config, '-e', 'stderr'],
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(lambda: is_open(port), (tmp_path / 'nginx.log').read_text)
        yield f'https://localhost:{port}'
    finally:
        nginx.terminate()
        nginx.wait()
        emulator.stop()


@pytest.fixture
def client(exposed, tmp_path):
    session = requests.Session()
    # The environment may name another authority.
    session.trust_env = False
    session.verify = str(tmp_path / 'cert.pem')
    session.auth = ADMIN
    return session


def test_it_serves_whom_it_knows(exposed, client):
    """Over TLS, with a password, from no page of another site."""
    stranger = requests.get(
        f'{exposed}{ROOT}/Systems', verify=client.verify, timeout=60
    )
    found = client.get(f'{exposed}{ROOT}/Systems', timeout=60)
    system = found.json()['Members'][0]['@odata.id']
    snapshots = f'{exposed}{system}/Oem/HawkFish/Snapshots'

    made = client.post(snapshots, json={'Name': 'a'}, timeout=60)
    own = client.post(
        snapshots, json={'Name': 'b'}, headers={'Origin': exposed}, timeout=60
    )
    foreign = client.post(
        snapshots,
        headers={'Origin': 'https://other.example.com'},
        timeout=60,
    )
    large = client.post(snapshots, data=b' ' * 2_000_000, timeout=60)

    assert stranger.status_code == 401
    assert (made.status_code, own.status_code) == (202, 202)
    assert foreign.status_code == 403
    assert large.status_code == 413
    assert client.get(exposed, timeout=60).status_code == 404


class FromElsewhere(requests.adapters.HTTPAdapter):
    """A client with another address of this host."""

    def init_poolmanager(self, *args, **options):
        super().init_poolmanager(
            *args, source_address=('127.0.0.2', 0), **options
        )


def test_the_log_has_the_addresses_of_clients(exposed, client):
    """Those that nginx tells, and none that a client does."""
    client.mount('https://', FromElsewhere())
    systems = client.get(f'{exposed}{ROOT}/Systems', timeout=60).json()
    system = systems['Members'][0]['@odata.id']
    changed = client.post(
        f'{exposed}{system}/Actions/ComputerSystem.Reset',
        json={'ResetType': 'On'},
        headers={'X-Forwarded-For': '192.0.2.1'},
        timeout=60,
    )
    log = f'{ROOT}/Managers/HawkFish/LogServices/Audit/Entries'
    newest = client.get(exposed + log, timeout=60).json()['Members'][0]

    assert changed.status_code == 204
    assert newest['OriginAddress'] == 'http://127.0.0.2'


def test_a_stream_is_not_held_back(exposed, client):
    """What it begins with arrives at once."""
    with client.get(
        f'{exposed}{ROOT}/EventService/SSE', stream=True, timeout=60
    ) as response:
        assert next(response.iter_content(10)).startswith(b':')


def test_one_client_has_its_limits(exposed, client):
    """Of requests, and of connections that send none."""
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        found = set(
            pool.map(
                lambda _: (
                    client.get(f'{exposed}{ROOT}', timeout=60).status_code
                ),
                range(400),
            )
        )
    assert found == {200, 429}

    idle = [
        socket.create_connection(('127.0.0.1', int(exposed.split(':')[2])))
        for _ in range(200)
    ]
    wait_for(lambda: client.get(f'{exposed}{ROOT}', timeout=60).ok)
    for connection in idle:
        connection.close()
