# SPDX-License-Identifier: Apache-2.0
"""Imports: bundles that become systems."""

import os
from typing import Any, BinaryIO
from urllib import parse

import requests
from sushy import exceptions

from hawkfish_plugin.client import answers, common, tasks
from hawkfish_plugin.client.exports import Progress

IMPORT = '/redfish/v1/Oem/HawkFish/Import'
# The service checks each part of the bundle, and makes the files.
SILENCE = 120.0


class _Body:
    """*file* as the body of a request; *progress* hears of each part."""

    def __init__(self, file: BinaryIO, progress: Progress | None) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._progress = progress

    def __len__(self) -> int:
        return self._size

    def read(self, count: int = -1) -> bytes:
        data = self._file.read(count)
        if self._progress:
            self._progress(self._file.tell(), self._size)
        return data


def send(
    conn: Any,
    path: str,
    progress: Progress | None,
    **asked: Any,
) -> tasks.TaskHandle[None]:
    """See ``HawkFish.import_system``."""
    given = {
        key: 'true' if value is True else value
        for key, value in common.given(**asked).items()
        if value is not False
    }
    target = f'{IMPORT}?{parse.urlencode(given)}'
    url = parse.urljoin(conn._url, target)
    with open(path, 'rb') as file, answers.told():
        try:
            # sushy knows only bodies that are JSON.
            response = conn._session.request(
                'POST',
                url,
                data=_Body(file, progress),
                headers={'Content-Type': 'application/x-tar'},
                verify=conn._verify,
                timeout=SILENCE,
            )
        except requests.RequestException as error:
            raise exceptions.ConnectionError(url=url, error=error) from error
        exceptions.raise_for_response('POST', url, response)
    return tasks.handle_of(conn, response)
