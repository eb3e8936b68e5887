# SPDX-License-Identifier: Apache-2.0
"""Patience with a service that is just being started."""

import time
from typing import Any

import requests
from requests import adapters

SECONDS = 2.0
_PAUSE = 0.1


class Patient(adapters.HTTPAdapter):
    """
    Sends a request again for ``SECONDS`` where the connection is refused.

    Nobody has got it then, so that no operation is executed twice. What has
    been refused for longer is not waited for again.
    """

    _refused_since: float | None = None

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        while True:
            try:
                response = super().send(*args, **kwargs)
            except requests.ConnectionError as error:
                if not self._may_wait(error):
                    raise
                time.sleep(_PAUSE)
            else:
                self._refused_since = None
                return response

    def _may_wait(self, error: requests.ConnectionError) -> bool:
        cause: BaseException | None = error
        while cause and not isinstance(cause, ConnectionRefusedError):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            return False
        now = time.monotonic()
        self._refused_since = self._refused_since or now
        return now - self._refused_since < SECONDS


class Impatient(adapters.HTTPAdapter):
    """Sends a request once, and waits *timeout_sec* for its answer."""

    def __init__(self, timeout_sec: float) -> None:
        super().__init__()
        self._timeout_sec = timeout_sec

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        return super().send(*args, **{**kwargs, 'timeout': self._timeout_sec})
