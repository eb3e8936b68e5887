# SPDX-License-Identifier: Apache-2.0
"""
``hawkfish-emulator`` as a program: what goes wrong before it serves anything.

Owns the refusals, each of which is a line on standard error: a port that is
none or is taken, bindings that are not installed. Owns the end that SIGTERM
asks for as well, and the folder in which the fake driver keeps its state,
unless one is configured.
"""

import contextlib
import functools
import importlib.util
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from typing import Any, NoReturn

import flask

from hawkfish_plugin import conf, exceptions
from hawkfish_plugin.emulator import internals

_STATE_VARIABLE = 'OS_HAWKFISH__STATE_DIR'
_NO_LIBVIRT = (
    'the bindings of libvirt are not installed; install them with: '
    "python3 -m pip install 'hawkfish-snapshots[libvirt]' "
    '(or use --fake, which needs no hypervisor)'
)


class _Terminated(SystemExit):
    """SIGTERM has come."""


def _terminate(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Terminated(0)


def prepare(app: flask.Flask, name: str) -> None:
    """
    Let ``app.run`` look first at what *name* needs, and end if it lacks.

    SIGTERM ends the process with 0 from now on. For the first process of a
    container that takes a handler, as it is spared the default action.
    """
    signal.signal(signal.SIGTERM, _terminate)
    run = app.run

    @functools.wraps(run)
    def checked(*args: Any, **kwargs: Any) -> Any:
        driver = internals.driver_name(app.config)
        if driver == 'libvirt' and not importlib.util.find_spec('libvirt'):
            _end(name, _NO_LIBVIRT)
        # The process that --debug starts has the socket of the first one.
        if not os.environ.get('WERKZEUG_RUN_MAIN'):
            _check_address(name, kwargs.get('host'), kwargs.get('port'))
        state = (
            _state(app, name) if driver == 'fake' else contextlib.nullcontext()
        )
        try:
            with state:
                return run(*args, **kwargs)
        except _Terminated:
            # Operations are left as a kill leaves them, which the next start
            # recovers. An exit of Python would let them fail, one by one, on
            # what it has taken apart already, or wait for libvirt.
            os._exit(0)

    app.run = checked  # type: ignore[method-assign]
    _check_configuration(app, name)


def _check_configuration(app: Any, name: str) -> None:
    """Let *app* end where its configuration file cannot be read."""
    configure = app.configure

    @functools.wraps(configure)
    def checked(*args: Any, **kwargs: Any) -> None:
        try:
            configure(*args, **kwargs)
        except (OSError, SyntaxError) as error:
            reason = getattr(error, 'strerror', None) or error
            _end(name, f'cannot read {error.filename}: {reason}')

    app.configure = checked


def _end(name: str, reason: str) -> NoReturn:
    print(f'{name}: {reason}', file=sys.stderr)
    sys.exit(1)


def _check_address(name: str, host: str | None, port: Any) -> None:
    """End where nobody can listen at *port* of *host*."""
    host = host or '127.0.0.1'
    if host.startswith('unix://'):
        return
    if not (isinstance(port, int) and 0 <= port <= 65535):
        _end(name, f'{port} is not a port: it has to be from 1 to 65535')
    try:
        (family, *_), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        # That of a look-up is below 0, and has words of its own.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror
        _end(name, f'cannot listen at {host}, port {port}: {reason}')


@contextlib.contextmanager
def _state(app: flask.Flask, name: str) -> Iterator[None]:
    """
    The folder of the state of the fake driver, and of the plugin's.

    It goes at the end, unless the configuration has one.
    """
    folder = _configured()
    if folder is not None:
        internals.keep_state(app.config, os.path.join(folder, 'fake'))
        yield
        return
    folder = tempfile.mkdtemp(prefix='hawkfish-fake-')
    try:
        os.environ[_STATE_VARIABLE] = folder
        internals.keep_state(app.config, folder)
        print(
            f'{name}: the state is in {folder} and goes with this process; '
            f'{_STATE_VARIABLE} names a folder that stays.',
            file=sys.stderr,
            flush=True,
        )
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _configured() -> str | None:
    """The folder that the user has configured, if any."""
    try:
        options = conf.load()
    except exceptions.ConfigurationInvalid:
        # It is told where it is used.
        return None
    return conf.set_by_user(options, 'state_dir')
