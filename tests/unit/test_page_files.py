# SPDX-License-Identifier: Apache-2.0
"""The files of the page: what is served, to whom, and under which policy."""

import pathlib
import re

import pytest
import requests

import hawkfish_plugin

FOLDER = pathlib.Path(hawkfish_plugin.__file__).parent / 'page'
FILES = sorted(path.name for path in FOLDER.iterdir())
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
}


def get(emulator, path, **headers):
    return requests.get(f'{emulator.url}{path}', headers=headers, timeout=60)


@pytest.mark.parametrize('name', ['', *FILES])
def test_every_file_is_served_under_the_policy(emulator, name):
    """Each has its type, and a browser may do nothing that is not listed."""
    response = get(emulator, f'/hawkfish/{name}')

    assert response.status_code == 200
    assert response.content == (FOLDER / (name or 'index.html')).read_bytes()
    policy = response.headers['Content-Security-Policy'].split('; ')
    assert set(policy) == POLICY
    assert response.headers['X-Content-Type-Options'] == 'nosniff'
    assert response.headers['Referrer-Policy'] == 'no-referrer'
    kind = {'js': 'text/javascript', 'css': 'text/css', 'svg': 'image/svg+xml'}
    wanted = kind.get(name.rpartition('.')[2], 'text/html')
    assert response.headers['Content-Type'].startswith(wanted)


def test_what_has_not_changed_is_not_sent_again(emulator):
    """A browser asks each time, and is told that it has the file."""
    first = get(emulator, '/hawkfish/app.js')
    etag = first.headers['ETag']

    assert first.headers['Cache-Control'] == 'no-cache'
    again = get(emulator, '/hawkfish/app.js', **{'If-None-Match': etag})
    assert again.status_code == 304
    other = get(emulator, '/hawkfish/app.js', **{'If-Match': '"0"'})
    assert other.status_code == 412
    assert 'error' in other.json()


def test_a_missing_slash_is_added(emulator):
    """The links of the page need it; a proxy may change all before it."""
    response = requests.get(
        f'{emulator.url}/hawkfish', allow_redirects=False, timeout=60
    )

    assert response.status_code == 308
    assert response.headers['Location'] == 'hawkfish/'
    assert get(emulator, '/hawkfish').url.endswith('/hawkfish/')


@pytest.mark.parametrize(
    'path', ['none.js', '..%2fwsgi.py', '.', '%00', 'app.js%00', '../wsgi.py']
)
def test_nothing_else_is_there(emulator, path):
    """What is no file of the page is a 404 as everywhere."""
    response = get(emulator, f'/hawkfish/{path}')

    # A client may have resolved the dots by itself.
    if response.url.startswith(f'{emulator.url}/hawkfish/'):
        if not response.url.endswith('/hawkfish/'):
            assert response.status_code == 404
            assert 'error' in response.json()


def test_no_file_names_another_host():
    """The page can be used where there is no other host."""
    for name in FILES:
        text = (FOLDER / name).read_text()
        named = set(re.findall(r'https?://[\w.-]+', text))
        assert named <= {'http://www.w3.org'}, name
        assert 'style="' not in text
        assert not re.search(r'\son\w+="', text)
