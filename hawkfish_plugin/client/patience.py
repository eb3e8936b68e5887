# SPDX-License-Identifier: Apache-2.0
"""Patience with a service that is just being started."""

import ipaddress
import logging
import time
from typing import Any
from urllib import parse

import requests
from requests import adapters

LOG = logging.getLogger(__name__)

SECONDS = 2.0
LOCAL_SECONDS = 15.0
"""For a service of this machine, which whoever asks may just have started"""
_PAUSE = 0.1


class Patient(adapters.HTTPAdapter):
    """
    Sends a request again where the connection is refused.

    For ``SECONDS``, or ``LOCAL_SECONDS``. Nobody has got it then, so that no
    operation is executed twice. What has been refused for longer is not waited
    for again.
    """

    _refused_since: float | None = None
    _has_told = False

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        while True:
            try:
                response = super().send(request, *args, **kwargs)
            except requests.ConnectionError as error:
                if not self._may_wait(error, request.url or ''):
                    raise
                time.sleep(_PAUSE)
            else:
                self._refused_since = None
                return response

    def _may_wait(self, error: requests.ConnectionError, url: str) -> bool:
        cause: BaseException | None = error
        while cause and not isinstance(cause, ConnectionRefusedError):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            return False
        now = time.monotonic()
        self._refused_since = self._refused_since or now
        passed = now - self._refused_since
        patience = LOCAL_SECONDS if _is_local(url) else SECONDS
        if SECONDS < passed < patience and not self._has_told:
            self._has_told = True
            LOG.info('Waiting for the service at %s to start.', _root(url))
        return passed < patience


def _root(url: str) -> str:
    """The *url* of a request without its path, or a password."""
    found = parse.urlsplit(url)
    return f'{found.scheme}://{found.netloc.rpartition("@")[2]}'


def _is_local(url: str) -> bool:
    host = parse.urlsplit(url).hostname or ''
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost'


class Impatient(adapters.HTTPAdapter):
    """Sends a request once, and waits *timeout_sec* for its answer."""

    def __init__(self, timeout_sec: float) -> None:
        super().__init__()
        self._timeout_sec = timeout_sec

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        return super().send(*args, **{**kwargs, 'timeout': self._timeout_sec})
