# SPDX-License-Identifier: Apache-2.0
"""A socket before libvirtd's, whose connections can be cut."""

import contextlib
import pathlib
import socket
import threading


class Proxy:
    """Listens at *path*, and passes on to the socket *target*."""

    def __init__(self, target: pathlib.Path, path: pathlib.Path) -> None:
        self._target = str(target)
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()

    def __enter__(self) -> 'Proxy':
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.drop()

    def drop(self) -> None:
        """Cut every connection there is; new ones are passed on."""
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._target)
                self._open += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(
                        target=_pass_on, args=ends, daemon=True
                    ).start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(65536):
            sink.sendall(part)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
