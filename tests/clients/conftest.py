# SPDX-License-Identifier: Apache-2.0
"""
The service as clients of all makes meet it.

It has TLS with an authority of its own, and users.  It is reached by its name,
over IPv6, and behind a reverse proxy that has it under a path.
"""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import subprocess
from collections.abc import Iterator

import pytest
import requests
import trustme

from tests.served import FAKE_UUID, Served, free_port, is_open, user_entry
from tests.waiting import wait_for

USER, PASSWORD = 'admin', 'letmein-42'
SYSTEM = f'/redfish/v1/Systems/{FAKE_UUID}'
SNAPSHOTS = f'{SYSTEM}/Oem/HawkFish/Snapshots'
NGINX = os.environ.get('HAWKFISH_NGINX') or shutil.which(
    'nginx', path=f'{os.environ["PATH"]}:/usr/sbin'
)
PREFIX = '/bmc'


@dataclasses.dataclass(frozen=True)
class Way:
    """
    How the service is reached.

    *url* has no path, *prefix* is where it begins below that; *authority* is
    the file of the certificate that vouches for it.
    """

    url: str
    prefix: str
    authority: str

    @property
    def host(self) -> str:
        return self.url.partition('//')[2]

    def get(self, path: str) -> requests.Response:
        session = requests.Session()
        session.trust_env = False
        return session.get(
            self.url + self.prefix + path,
            auth=(USER, PASSWORD),
            verify=self.authority,
            timeout=30,
        )

    def names(self) -> list[str]:
        """The snapshots of the system."""
        members = self.get(SNAPSHOTS).json()['Members']
        return [m['@odata.id'].rpartition('/')[2] for m in members]


@pytest.fixture(scope='session')
def authority(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The folder of the authority, and of the certificate that it issued."""
    folder = tmp_path_factory.mktemp('authority')
    made = trustme.CA()
    issued = made.issue_cert('localhost', '127.0.0.1', '::1')
    made.cert_pem.write_to_path(str(folder / 'ca.pem'))
    issued.private_key_pem.write_to_path(str(folder / 'key.pem'))
    for pem in issued.cert_chain_pems:
        pem.write_to_path(str(folder / 'cert.pem'), append=True)
    return folder


@pytest.fixture(scope='session')
def by_name(
    tmp_path_factory: pytest.TempPathFactory, authority: pathlib.Path
) -> Iterator[Way]:
    with _served(tmp_path_factory, authority, '127.0.0.1') as served:
        url = f'https://localhost:{served.port}'
        yield Way(url, '', str(authority / 'ca.pem'))


@pytest.fixture(scope='session')
def over_ipv6(
    tmp_path_factory: pytest.TempPathFactory, authority: pathlib.Path
) -> Iterator[Way]:
    with _served(tmp_path_factory, authority, '::1') as served:
        url = f'https://[::1]:{served.port}'
        yield Way(url, '', str(authority / 'ca.pem'))


@pytest.fixture(scope='session')
def behind_proxy(
    by_name: Way,
    tmp_path_factory: pytest.TempPathFactory,
    authority: pathlib.Path,
) -> Iterator[Way]:
    """A proxy that lets the links have the path it serves them under."""
    if not NGINX:
        pytest.skip('nginx is not installed')
    folder, port = tmp_path_factory.mktemp('proxy'), free_port()
    config = folder / 'nginx.conf'
    config.write_text(_proxy(folder, port, by_name.url, authority))
    with (folder / 'log').open('w') as log:
        nginx = subprocess.Popen(
            [NGINX, '-p', folder, '-c', config, '-e', 'stderr'],
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(lambda: is_open(port), (folder / 'log').read_text)
        yield Way(
            f'https://localhost:{port}', PREFIX, str(authority / 'ca.pem')
        )
    finally:
        nginx.terminate()
        nginx.wait()


@pytest.fixture(params=['by_name', 'over_ipv6', 'behind_proxy'])
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=['by_name', 'over_ipv6'])
def direct_way(request: pytest.FixtureRequest) -> Way:
    """For clients that know no path before ``/redfish``."""
    found: Way = request.getfixturevalue(request.param)
    return found


@contextlib.contextmanager
def _served(
    factory: pytest.TempPathFactory, authority: pathlib.Path, address: str
) -> Iterator[Served]:
    folder = factory.mktemp('served')
    (folder / 'users').write_text(user_entry(USER, PASSWORD))
    served = Served(
        folder,
        config=(
            f'SUSHY_EMULATOR_AUTH_FILE = {str(folder / "users")!r}\n'
            f'SUSHY_EMULATOR_SSL_CERT = {str(authority / "cert.pem")!r}\n'
            f'SUSHY_EMULATOR_SSL_KEY = {str(authority / "key.pem")!r}\n'
        ),
        scheme='https',
    )
    if ':' in address:
        served.url = f'https://[{address}]:{served.port}'
    served.command[served.command.index('127.0.0.1')] = address
    served.start()
    try:
        yield served
    finally:
        served.stop()


def _proxy(
    folder: pathlib.Path, port: int, upstream: str, authority: pathlib.Path
) -> str:
    folders = ''.join(
        f'{name}_temp_path {folder}/{name};\n'
        for name in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi')
    )
    user = 'user root;\n' if os.geteuid() == 0 else ''
    return f"""
{user}daemon off; pid {folder}/pid; error_log stderr;
events {{}}
http {{
    access_log off;
    {folders}
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {authority}/cert.pem;
        ssl_certificate_key {authority}/key.pem;
        absolute_redirect off;
        location {PREFIX}/redfish/ {{
            proxy_pass {upstream.replace('localhost', '127.0.0.1')}/redfish/;
            proxy_set_header Accept-Encoding "";
            proxy_redirect /redfish/ {PREFIX}/redfish/;
            sub_filter '"/redfish/' '"{PREFIX}/redfish/';
            sub_filter_once off;
            sub_filter_types application/json;
        }}
    }}
}}
"""
