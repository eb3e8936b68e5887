# SPDX-License-Identifier: Apache-2.0
"""
What the plugin relies on in sushy-tools.

Owns every name and every shape inside the emulator that another release may
change: endpoints, configuration keys, attributes.  No other module spells
them.  ``tests/unit/test_internals.py`` has a check for each, which
``tests/release/test_upstream.py`` repeats with the oldest and the newest
release that are supported.

Imports nothing of this package, so that every layer may import it.  Long, as
all that is relied on stands together.
"""

import contextlib
import contextvars
import functools
import io
import json
import pathlib
import posixpath
import re
import sqlite3
import sys
import threading
import time
import uuid
from collections.abc import (
    Callable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from typing import Any
from wsgiref.types import WSGIApplication, WSGIEnvironment

import flask
from sushy_tools import error
from sushy_tools.emulator import api_utils, auth_basic, memoize
from sushy_tools.emulator.resources import vmedia
from sushy_tools.emulator.resources.systems import fakedriver
from sushy_tools.emulator.resources.systems.base import AbstractSystemsDriver

Config = Mapping[str, Any]
MediaNote = dict[str, Any]

# Endpoints -----------------------------------------------------------------
#
# Flask's names of the emulator's routes, as in ``flask.request.endpoint``.

SERVICE_ROOT = 'root_resource'
SYSTEMS = 'system_collection_resource'
SYSTEM = 'system_resource'
MANAGERS = 'manager_collection_resource'
BIOS = 'bios'
BIOS_SETTINGS = 'bios_settings'
RESET_BIOS = 'system_reset_bios'
REGISTRIES = 'registry_file_collection'
TASK_SERVICE = 'simple_task_service'
VIRTUAL_MEDIA = 'VirtualMedia.virtual_media_resource'
INSERT_MEDIA = 'VirtualMedia.virtual_media_insert'
# What the emulator has as the code of each error.
ERROR_CODE = 'Base.1.0.GeneralError'
# The one task that the emulator has, of no operation.
TASK_ID = '42'
# A restart that the guest is asked for is no start of QEMU.
_NO_STARTS = 'ForceOff', 'GracefulShutdown', 'GracefulRestart', 'Nmi'
RESET = 'system_reset_action'
SIMPLE_UPDATE = 'UpdateService.update_service_simple_update'


def system_of(request: flask.Request) -> str | None:
    """
    The system that the path of *request* names, by UUID or name.

    Relies on the argument ``identity`` of the routes.  Managers and chassis
    are named by it too; a manager has the UUID of its system.
    """
    return (request.view_args or {}).get('identity')


def device_of(request: flask.Request) -> str:
    """
    The virtual media device that the path of *request* names.

    Relies on the argument ``device`` of the routes of virtual media.
    """
    device: str = (request.view_args or {})['device']
    return device


def may_start(request: flask.Request) -> bool:
    """
    Whether *request* may let a system start.

    Relies on the endpoint of Reset, and on ResetType in its body.
    """
    if request.endpoint != RESET:
        return False
    return is_start(reset_type(request))


def reset_type(request: flask.Request) -> object:
    """
    The ResetType in the body of *request*, whatever it is.

    Relies on Reset having it under that name.
    """
    body = request.get_json(silent=True)
    return body.get('ResetType') if isinstance(body, dict) else None


def is_start(kind: object) -> bool:
    """Whether a reset of this ResetType may start QEMU."""
    return kind not in _NO_STARTS


def update_targets(request: flask.Request) -> list[str]:
    """
    The systems that the body of a SimpleUpdate names, by UUID or name.

    Relies on the emulator taking the last segment of each target for the
    identity of a system.  Empty where the body is not valid.
    """
    try:
        body = request.get_json(silent=True)
    except RecursionError:
        body = None
    targets = body.get('Targets') if isinstance(body, dict) else None
    if not isinstance(targets, list):
        return []
    return [str(t).rstrip('/').rpartition('/')[2] for t in targets]


def told_by_error(body: str | bytes) -> str | None:
    """
    The text of an error of the emulator; None where *body* is none of its.

    Relies on what its errors look like: on their ``code`` and ``message``.
    """
    try:
        told = json.loads(body)['error']
        return str(told['message']) if told['code'] == ERROR_CODE else None
    except (ValueError, TypeError, KeyError):
        return None


def service_root(app: flask.Flask) -> dict[str, Any]:
    """
    The service root as the emulator renders it for the present request.

    Relies on its view function, which returns a response of JSON.
    """
    view: Any = app.view_functions[SERVICE_ROOT]
    root: dict[str, Any] = json.loads(view().get_data())
    return root


def serve_bios_by_its_name(app: flask.Flask) -> None:
    """
    Let *app* serve the BIOS of systems at the URIs of the standard too.

    Relies on its routes having BIOS in capitals.  An emulator that has none
    of them is left as it is.
    """
    for endpoint, methods in (
        (BIOS, ['GET']),
        (BIOS_SETTINGS, ['GET', 'PATCH']),
        (RESET_BIOS, ['POST']),
    ):
        for rule in [*app.url_map.iter_rules()]:
            if rule.endpoint == endpoint and '/BIOS' in rule.rule:
                app.add_url_rule(
                    rule.rule.replace('/BIOS', '/Bios', 1),
                    endpoint,
                    app.view_functions[endpoint],
                    methods=methods,
                )


def has_storage(app: flask.Flask, uuid: str) -> bool:
    """
    Whether the configuration has storage for the system *uuid*.

    Relies on ``app.storage`` and its ``get_storage_col``, which raises
    FishyError where it has none.
    """
    try:
        app.storage.get_storage_col(uuid)  # type: ignore[attr-defined]
    # ValueError: the system has another identity than a UUID.
    except (error.FishyError, ValueError):
        return False
    return True


def has_volumes(app: flask.Flask) -> bool:
    """
    Whether the emulator's driver has storage volumes at all.

    Relies on ``find_or_create_storage_volume`` of the base class, which only
    says that there are none.
    """
    name = 'find_or_create_storage_volume'
    inherited = getattr(AbstractSystemsDriver, name)
    return getattr(type(systems(app)), name, None) is not inherited


# Configuration -------------------------------------------------------------


def app_being_configured() -> flask.Flask:
    """
    The emulator whose configuration file is running.

    Relies on the method ``configure`` of the application executing the file.
    The application is found by that frame, as no module has it yet while the
    file named by SUSHY_EMULATOR_CONFIG runs.  Raises RuntimeError elsewhere.
    """
    frame = sys._getframe()
    while frame := frame.f_back:  # type: ignore[assignment]
        app = frame.f_locals.get('self')
        if frame.f_code.co_name == 'configure' and isinstance(
            app, flask.Flask
        ):
            return app
    raise RuntimeError(
        'hawkfish_plugin.activate() belongs in a configuration file of '
        'sushy-emulator; in a program, call '
        'hawkfish_plugin.plugin.setup(app) instead'
    )


def driver_name(config: Config) -> str:
    """
    Which hypervisor the emulator serves: fake, nova, ironic or libvirt.

    Relies on its configuration keys, and on its order among them.
    """
    if config.get('SUSHY_EMULATOR_FAKE_DRIVER'):
        return 'fake'
    if config.get('SUSHY_EMULATOR_OS_CLOUD'):
        return 'nova'
    if config.get('SUSHY_EMULATOR_IRONIC_CLOUD'):
        return 'ironic'
    return 'libvirt'


def libvirt_uri(config: Config) -> str | None:
    """
    The URI of libvirt that the emulator was given, if any.

    Relies on SUSHY_EMULATOR_LIBVIRT_URI, where the command line is noted too.
    """
    return config.get('SUSHY_EMULATOR_LIBVIRT_URI') or None


def state_folder(config: Config) -> str:
    """
    The folder of the emulator's own state.

    Relies on SUSHY_EMULATOR_STATE_DIR and on the default of its persistent
    dictionaries.
    """
    return str(
        config.get('SUSHY_EMULATOR_STATE_DIR') or memoize.PersistentDict.DBPATH
    )


def keep_state(settings: MutableMapping[str, Any], folder: str) -> None:
    """
    Let the emulator's own state be in *folder*, unless *settings* say where.

    Relies on SUSHY_EMULATOR_STATE_DIR, and on its making no folder.
    """
    if not settings.get('SUSHY_EMULATOR_STATE_DIR'):
        pathlib.Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        settings['SUSHY_EMULATOR_STATE_DIR'] = folder


def persistent_dict(config: Config, name: str) -> MutableMapping[Any, Any]:
    """
    The dictionary *name* in the emulator's state, shared by all processes.

    Relies on ``memoize.PersistentDict``, which pickles keys and values.
    """
    found: Any = memoize.PersistentDict()
    found.make_permanent(state_folder(config), name)
    kept: MutableMapping[Any, Any] = found
    return kept


def mend_connections() -> None:
    """
    Let the persistent dictionaries close their connections to SQLite.

    Relies on their method ``connection``, a context manager that gives a
    cursor, and leaves the connection to the garbage collector: a burst of
    requests leaves hundreds of descriptors.
    """
    memoize.PersistentDict.connection = _cursor


@contextlib.contextmanager
def _cursor(kept: Any) -> Iterator[sqlite3.Cursor]:
    if not kept._dbpath:
        raise TypeError('Dict is not yet persistent')
    with (
        contextlib.closing(sqlite3.connect(kept._dbpath)) as closed,
        closed as connection,
    ):
        connection.execute('pragma journal_mode=wal')
        yield connection.cursor()


_write_image = vmedia._write_from_response


def mend_downloads(most: int, seconds: float) -> None:
    """
    Let what a downloaded image is called be a name, and no path.

    And let it have *most* bytes, and be there in so many *seconds*.  Relies on
    ``vmedia._write_from_response``, which reads all that the server of the
    image sends, to a file that nobody removes, and gives the name that the
    server has chosen; the download is moved there, wherever that is.
    """

    def write(image_url: str, response: Any, file: Any) -> str:
        chunks = functools.partial(
            _within, response.iter_content, most, time.monotonic() + seconds
        )
        response.iter_content = chunks
        try:
            name = posixpath.basename(_write_image(image_url, response, file))
        except BaseException:
            pathlib.Path(file.name).unlink(missing_ok=True)
            raise
        return 'image.iso' if name in ('', '.', '..') else name

    vmedia._write_from_response = write


def _within(
    read: Callable[[int], Iterator[bytes]],
    most: int,
    deadline: float,
    chunk_size: int,
) -> Iterator[bytes]:
    """What *read* gives; an error of the emulator where it is too much."""
    for chunk in read(chunk_size):
        most -= len(chunk)
        if most < 0:
            raise error.FishyError('The image is too large', code=400)
        if time.monotonic() > deadline:
            raise error.FishyError('The image takes too long', code=504)
        yield chunk


def allowed_instances(config: Config) -> list[str] | None:
    """
    The UUIDs and names of the systems that may be served; None: all.

    Relies on SUSHY_EMULATOR_ALLOWED_INSTANCES.
    """
    allowed = config.get('SUSHY_EMULATOR_ALLOWED_INSTANCES')
    return None if allowed is None else sorted(map(str, allowed))


def has_all_features(config: Config) -> bool:
    """
    Whether the emulator serves all that it has, registries among it.

    Relies on SUSHY_EMULATOR_FEATURE_SET and its default.
    """
    return bool(config.get('SUSHY_EMULATOR_FEATURE_SET', 'full') == 'full')


def not_found() -> Exception:
    """
    The error of the emulator for a system that it does not serve.

    Relies on its error handler, which renders ``NotFound`` as a 404.
    """
    found: Exception = error.NotFound()
    return found


def mend_denials() -> None:
    """
    Let the emulator deny a system with the 404 that it means.

    Relies on its ``api_utils`` raising ``error.NotFound``, where ``error`` is
    a function of that module by mistake, which gives 500.
    """
    if not hasattr(api_utils.error, 'NotFound'):
        vars(api_utils.error)['NotFound'] = error.NotFound


# Authentication ------------------------------------------------------------


def users_file(app: flask.Flask) -> str | None:
    """
    The file of users of *app*; None where it asks nobody for a password.

    Relies on ``configure`` wrapping ``app.wsgi_app`` in a subclass of
    ``auth_basic.BasicAuthMiddleware``, and on its attribute ``auth_file``.
    """
    wsgi: Any = app.wsgi_app
    if isinstance(wsgi, auth_basic.BasicAuthMiddleware):
        return str(wsgi.auth_file)
    return None


def unauthenticated(app: flask.Flask) -> WSGIApplication:
    """
    What the authentication of *app* guards; only where there is one.

    Relies on the attribute ``app`` of ``auth_basic.BasicAuthMiddleware``.
    """
    wsgi: Any = app.wsgi_app
    guarded: WSGIApplication = wsgi.app
    return guarded


def set_user(environ: WSGIEnvironment, user: str) -> None:
    """
    Note in *environ* that the request is *user*'s.

    Relies on what ``auth_basic`` does for a password that it has checked.
    """
    environ.pop('HTTP_AUTHORIZATION', None)
    environ['HTTP_X_USER'] = user
    environ['HTTP_X_USER_NAME'] = user


def forget_user(environ: WSGIEnvironment) -> None:
    """
    Let *environ* name no user, as a client may have sent these headers.

    Relies on what ``set_user`` does.
    """
    environ.pop('HTTP_X_USER', None)
    environ.pop('HTTP_X_USER_NAME', None)


def user_of(environ: WSGIEnvironment) -> str | None:
    """
    Whose request it is; None where nobody was asked, or no password fitted.

    Relies on what ``set_user`` does, and on ``forget_user`` before.
    """
    user: str | None = environ.get('HTTP_X_USER')
    return user


WrongPassword = error.Unauthorized


class CheckRefused(error.FishyError):  # type: ignore[misc]
    """
    A password is not looked at; sent again later, it is.

    Relies on ``auth_basic`` rendering the code and the headers of an error.
    """

    def __init__(self, text: str, code: int, seconds: int = 0) -> None:
        super().__init__(text, code)
        self.seconds = seconds
        self.headers = {'Retry-After': str(seconds)} if seconds else {}


class TooManyChecks(CheckRefused):
    """Others are checking passwords for too long."""

    def __init__(self) -> None:
        super().__init__('Too many passwords are being checked', 503)


class TooManyFailures(CheckRefused):
    """There were too many wrong ones."""

    def __init__(self, seconds: int) -> None:
        super().__init__(
            'Too many logins of this account have failed from this address',
            429,
            seconds,
        )


Around = Callable[[str], contextlib.AbstractContextManager[None]]
"""What a check of a password is done in, given the user of the entry."""

_around_check: contextvars.ContextVar[Around] = contextvars.ContextVar(
    'around_check', default=lambda _: contextlib.nullcontext()
)


@contextlib.contextmanager
def each_check_in(around: Around) -> Iterator[None]:
    """
    In the block, have each check done in *around*, when it is its turn.

    A wrong password leaves that as WrongPassword; it may raise CheckRefused.
    """
    token = _around_check.set(around)
    try:
        yield
    finally:
        _around_check.reset(token)


def bound_checks(most: int, seconds: float) -> None:
    """
    Let *most* passwords be checked at a time; others wait for *seconds*.

    Then TooManyChecks is raised.  Relies on ``auth_basic.auth_entry``, which
    all checks go through.
    """
    original = auth_basic.auth_entry
    if hasattr(original, '__wrapped__'):
        return
    free = threading.BoundedSemaphore(most)

    @contextlib.contextmanager
    def turn() -> Iterator[None]:
        if not free.acquire(timeout=seconds):
            raise TooManyChecks
        try:
            yield
        finally:
            free.release()

    @functools.wraps(original)
    def bounded(entry: str, password: bytes) -> Any:
        # Many may have waited for their turn, and failed meanwhile.
        with turn(), _around_check.get()(entry.partition(':')[0]):
            return original(entry, password)

    auth_basic.auth_entry = bounded
    auth_basic.hawkfish_turn = turn


def turn() -> contextlib.AbstractContextManager[None]:
    """
    In it, it is one's turn to compute with passwords, as in a check.

    Raises TooManyChecks.
    """
    bounded: contextlib.AbstractContextManager[None] = getattr(
        auth_basic, 'hawkfish_turn', contextlib.nullcontext
    )()
    return bounded


def refusal(app: flask.Flask, exc: CheckRefused) -> WSGIApplication:
    """
    What answers in the place of *app* after *exc*.

    Relies on ``format_exception`` of its authentication.
    """
    wsgi: Any = app.wsgi_app
    response: WSGIApplication = wsgi.format_exception(exc)
    return response


def cost(entry: str) -> int:
    """
    How dear a check of *entry* is: the binary logarithm of its rounds.

    Relies on ``auth_basic`` taking bcrypt only, whose digests have it.
    """
    parts = entry.split('$')
    return int(parts[2]) if len(parts) > 2 and parts[2].isdecimal() else 0


def fits(entry: str, password: str) -> bool:
    """
    Whether *password* is that of *entry*, a line of the file of users.

    Relies on ``auth_basic.auth_entry`` raising FishyError where it is not.
    Raises CheckRefused.
    """
    try:
        auth_basic.auth_entry(entry, password.encode())
    except CheckRefused:
        raise
    # ValueError: what bcrypt does not take, a NUL or too many bytes.
    except (error.FishyError, ValueError):
        return False
    return True


def authorization(environ: WSGIEnvironment) -> tuple[str, bytes] | None:
    """
    The name and password that the request brings; None: no valid ones.

    Relies on ``auth_basic`` reading them from HTTP_AUTHORIZATION.
    """
    given = environ.get('HTTP_AUTHORIZATION')
    if not isinstance(given, str):
        return None
    try:
        kind, token = given.strip().split(maxsplit=1)
        name, password = auth_basic.parse_token(token)
    except (error.FishyError, ValueError):
        return None
    return (name, password) if kind.lower() == 'basic' else None


# Command line --------------------------------------------------------------

_EMULATOR = 'sushy-emulator'


def wants_help(arguments: Sequence[str]) -> bool:
    """Whether the emulator prints its help for *arguments*, and ends."""
    return bool({'-h', '--help'} & {*arguments})


@contextlib.contextmanager
def with_help(
    arguments: Sequence[str], program: str, usage: str, options: str
) -> Iterator[None]:
    """
    Let the help that the block prints for *arguments* be that of *program*.

    It has the *usage* and the *options* of the plugin as well.  Relies on the
    emulator's parser being argparse's, with a name of its own: it prints the
    usage, an empty line and the options.
    """
    if not wants_help(arguments):
        yield
        return
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            yield
    finally:
        text = _merged_help(printed.getvalue(), program, usage, options)
        print(text, end='')


@contextlib.contextmanager
def with_own_errors(emulator: Any, program: str) -> Iterator[None]:
    """
    Let a usage error of *emulator* be a line, and *program*'s.

    Relies on its module having ``parse_args``, which prints the usage, and
    then a line with its own name.
    """
    parse = emulator.parse_args

    def parsed() -> Any:
        told = io.StringIO()
        try:
            with contextlib.redirect_stderr(told):
                return parse()
        except SystemExit as end:
            if end.code:
                line = told.getvalue().rstrip().rpartition('\n')[2]
                line = line.replace(_EMULATOR, program, 1)
                print(f'{line} (see --help)', file=sys.stderr)
            raise

    emulator.parse_args = parsed
    try:
        yield
    finally:
        emulator.parse_args = parse


def _merged_help(text: str, program: str, usage: str, options: str) -> str:
    own, _, rest = text.partition('\n\n')
    # It says so, and is not.
    rest = re.sub(r'all\s+local\s+interfaces', '127.0.0.1', rest)
    own = own.replace(_EMULATOR, program).replace(
        '\n', '\n' + (len(program) - len(_EMULATOR)) * ' '
    )
    indent = '\n' + len(f'usage: {program} ') * ' '
    own += indent + usage.replace('] [', f']{indent}[')
    # argparse leaves alternatives on one line, however long it gets.
    own = own.replace(' | ', f' |{indent}   ')
    ours = options.removeprefix('options:\n')
    return f'{own}\n\n{rest.rstrip()}\n{ours}'


# Systems -------------------------------------------------------------------


def fake_systems(count: int) -> dict[str, Any]:
    """
    The settings that let the fake driver have *count* systems.

    The first is the one that it has by itself.  Relies on the key, and on the
    shape of a system.
    """
    own = fakedriver.DEFAULT_UUID
    return {
        'SUSHY_EMULATOR_FAKE_SYSTEMS': [
            {
                'uuid': str(uuid.uuid5(uuid.UUID(own), str(n))) if n else own,
                'name': f'fake-{n}' if n else 'fake',
                'power_state': 'Off',
                'external_notifier': False,
                'nics': [
                    {
                        'mac': f'00:5c:52:31:{n // 256:02x}:{n % 256:02x}',
                        'ip': f'172.22.{n // 256}.{n % 256}',
                    }
                ],
            }
            for n in range(count)
        ]
    }


_building = threading.Lock()


def systems(app: flask.Flask) -> Any:
    """
    The emulator's own driver of systems, built when it is first needed.

    Relies on the property ``app.systems``.  It is memoized, but its first
    requests race.
    """
    with _building:
        return app.systems  # type: ignore[attr-defined]


def identity(driver: Any, uuid_or_name: str) -> tuple[str, str] | None:
    """
    The UUID and the name of a system of the emulator's fake *driver*.

    None where it has none.  Relies on ``_get``, as ``uuid`` and ``name`` read
    the whole system once each.
    """
    try:
        try:
            found = driver._get(uuid_or_name)
        except error.AliasAccessError as exc:
            found = driver._get(str(exc))
    except error.NotFound:
        return None
    return found['uuid'], found['name']


def add_fake_system(
    driver: Any, uuid: str, name: str, power_state: str
) -> None:
    """
    Let the emulator's fake driver have one more system.

    Relies on its dictionaries, and on the shape of a system.
    """
    driver._systems[uuid] = {
        'uuid': uuid,
        'name': name,
        'power_state': power_state,
        'external_notifier': False,
        'nics': [],
    }
    driver._by_name[name] = uuid


def remove_fake_system(driver: Any, uuid: str) -> None:
    """Let it have one less; see ``add_fake_system``."""
    found = driver._systems.pop(uuid, None)
    if found:
        driver._by_name.pop(found['name'], None)


def set_power_state(driver: Any, uuid: str, kind: str) -> None:
    """
    Let *driver*, of systems, do a reset; *kind* is a ResetType of Redfish.

    Relies on ``set_power_state``, and on every error of it being a
    FishyError.  Raises RuntimeError with its text.
    """
    try:
        driver.set_power_state(uuid, kind)
    except error.FishyError as exc:
        raise RuntimeError(str(exc)) from exc


def set_fake_power(driver: Any, uuid: str, *, on: bool) -> None:
    """
    Let a system of the fake *driver* be on or off from now on.

    ``set_power_state`` takes some seconds, and leaves what an earlier one is
    still to do.  Relies on ``_update``, and on the keys of both states.
    """
    driver._update(uuid, power_state='On' if on else 'Off', pending_power=None)


def set_default_boot_order(driver: Any, uuid: str) -> None:
    """
    Let the system boot from its disk, as one does that nobody has changed.

    Relies on ``set_boot_device``, and on Hdd being what it begins with.
    Raises RuntimeError as ``set_power_state`` does.
    """
    try:
        driver.set_boot_device(uuid, 'Hdd')
    except error.FishyError as exc:
        raise RuntimeError(str(exc)) from exc


def count_handles(driver: Any) -> int:
    """
    How many handles of domains *driver*, of systems, has memoized.

    Relies on ``_cache`` of the decorator ``memoize``: a dictionary of results
    by arguments for each method.  Each handle has a connection of its own.
    """
    cache = vars(driver).get('_cache', {})
    return sum(map(len, list(cache.values())))


def forget_handles(driver: Any) -> None:
    """
    Let *driver*, of systems, look its domains up anew.

    Relies on ``memoize`` making a new ``_cache`` where there is none.
    """
    vars(driver).pop('_cache', None)


def guard_boot_image(driver: Any, before: Callable[[], None]) -> None:
    """
    Have *before* called when *driver*, of systems, puts an image into a drive.

    Relies on the insertion of virtual media calling ``set_boot_image`` of
    that object, when the image has been downloaded.
    """
    if 'set_boot_image' in vars(driver):
        return
    original = driver.set_boot_image

    @functools.wraps(original)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        before()
        return original(*args, **kwargs)

    driver.set_boot_image = guarded


# Virtual media -------------------------------------------------------------


def is_virtual_media(request: flask.Request) -> bool:
    """
    Whether *request* is for the virtual media of a system.

    Relies on the blueprint of its routes, VirtualMedia.
    """
    return (request.endpoint or '').startswith('VirtualMedia.')


def may_note_media(app: flask.Flask, request: flask.Request) -> bool:
    """
    Whether the emulator would make a note for *request*, of virtual media.

    Relies on what ``media_note`` does; the list of devices notes nothing.
    """
    device = (request.view_args or {}).get('device')
    return device is not None and not media_note(
        app, system_of(request) or '', device
    )


def name_media_by(app: flask.Flask, request: flask.Request, uuid: str) -> None:
    """
    Let *request* be for the virtual media of the system *uuid*.

    Relies on what ``system_of`` and ``media_note`` do.  Notes under another
    name of the system become its own.
    """
    name, view_args = system_of(request) or '', request.view_args or {}
    if name == uuid:
        return
    view_args['identity'] = uuid
    devices = _devices(app)
    for device in app.vmedia.devices:  # type: ignore[attr-defined]
        note = devices.pop((name, device), None)
        if note is not None and (uuid, device) not in devices:
            devices[(uuid, device)] = note


def media_note(
    app: flask.Flask, identity: str, device: str
) -> MediaNote | None:
    """
    What the emulator notes of *device* of the system *identity*.

    Relies on ``app.vmedia._devices``, a persistent dictionary with an entry
    for each device that was asked for, under the name it was asked by.
    """
    note: MediaNote | None = _devices(app).get((identity, device))
    return note


def noted_file(note: MediaNote, uuid: str) -> str:
    """
    The name of the file in the drive of the system *uuid*, by *note*.

    Relies on ``Inserted``, ``ImageName`` and ``_local_file``, and on the
    libvirt driver uploading a local file under another name.  Empty where
    nothing is inserted.
    """
    if not note.get('Inserted'):
        return ''
    local = note.get('_local_file')
    if local:
        stem = posixpath.basename(local).replace('.', '-')
        return f'{stem}-{uuid}.img'
    return str(note.get('ImageName', ''))


def note_ejected(app: flask.Flask, identity: str, device: str) -> None:
    """
    Note that nothing is in *device*, and touch no drive.

    Relies on ``app.vmedia.eject_image``, which removes the emulator's own
    copy of the image as well.
    """
    app.vmedia.eject_image(identity, device)  # type: ignore[attr-defined]


def note_inserted(
    app: flask.Flask, identity: str, device: str, path: str
) -> None:
    """
    Note that *path* is in *device*, whose note says that it is empty.

    Relies on what ``media_note`` and ``noted_file`` do, and on an ejection
    leaving ``_local_file`` in the note.
    """
    devices = _devices(app)
    note = dict(devices[(identity, device)])
    note.pop('_local_file', None)
    devices[(identity, device)] = {
        **note,
        'Inserted': True,
        'ImageName': posixpath.basename(path),
        'WriteProtected': True,
    }


def _devices(app: flask.Flask) -> MutableMapping[tuple[str, str], MediaNote]:
    kept: Any = app.vmedia  # type: ignore[attr-defined]
    devices: MutableMapping[tuple[str, str], MediaNote] = kept._devices
    return devices
