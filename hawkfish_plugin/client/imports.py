# SPDX-License-Identifier: Apache-2.0
"""Imports: bundles that become systems."""

from typing import TYPE_CHECKING, Any
from urllib import parse

import requests
from sushy import exceptions

from hawkfish_plugin.client import answers, common, tasks
from hawkfish_plugin.client.exports import Progress

if TYPE_CHECKING:
    from hawkfish_plugin.client import compression

IMPORT = '/redfish/v1/Oem/HawkFish/Import'
# The service checks each part of the bundle, and makes the files.
SILENCE = 120.0


class _Body:
    """*file* as the body of a request; *progress* hears of each part."""

    def __init__(
        self, file: 'compression.Decompressed', progress: Progress | None
    ) -> None:
        self._file = file
        self._done = 0
        self._progress = progress

    def __len__(self) -> int:
        return self._file.size

    def read(self, count: int) -> bytes:
        data = self._file.read(count)
        self._done += len(data)
        if self._progress:
            self._progress(self._done, self._file.size)
        return data


def send(
    conn: Any,
    path: str,
    progress: Progress | None,
    **asked: Any,
) -> tasks.TaskHandle[None]:
    """See ``HawkFish.import_system``."""
    # What lists and the like need not load.
    from hawkfish_plugin.client import compression

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
                data=_Body(compression.Decompressed(file), progress),
                headers={'Content-Type': 'application/x-tar'},
                verify=conn._verify,
                timeout=SILENCE,
            )
        except requests.RequestException as error:
            raise exceptions.ConnectionError(url=url, error=error) from error
        exceptions.raise_for_response('POST', url, response)
    return tasks.handle_of(conn, response)
