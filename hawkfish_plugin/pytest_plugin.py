# SPDX-License-Identifier: Apache-2.0
"""
The pytest plugin: tests that begin with a lab in a known state.

Owns its options, its marker ``hawkfish_revert``, its fixtures, its hook, and
what the report says about reverts. It is loaded by every pytest in an
environment that has this package, so it imports nothing of it before a test
asks for a lab.

Long, as a pytest plugin is one module.
"""

import contextlib
import dataclasses
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest

Check = tuple[str, int] | Callable[[], object]
"""A TCP port by host and number, or a call that returns a true value"""

DEADLINE_SECONDS = 120.0
SCOPES = ('function', 'module', 'session')
WORKER = '{worker}'

_PAUSE_SECONDS = 0.1
_CONNECT_SECONDS = 5.0
_PROPERTY = 'hawkfish_revert'
_LABS = pytest.StashKey['Labs']()


class Hooks:
    """The hooks that a ``conftest.py`` can implement."""

    @pytest.hookspec(firstresult=True)
    def pytest_hawkfish_ready(self, lab: 'Lab') -> Sequence[Check] | None:
        """
        Return what to wait for after a revert of *lab*.

        This is in the place of ``--hawkfish-ready``.
        """


@dataclasses.dataclass(frozen=True)
class Reverted:
    """A revert: how long it took, and then how long to be ready, in s."""

    group: str
    snapshot: str
    seconds: float
    ready_seconds: float

    def properties(self) -> list[tuple[str, object]]:
        """The properties of the test that it was made for."""
        return [
            (_PROPERTY, f'{self.group} {self.snapshot}'),
            (f'{_PROPERTY}_seconds', f'{self.seconds:.3f}'),
            (f'{_PROPERTY}_ready_seconds', f'{self.ready_seconds:.3f}'),
        ]


class Lab:
    """
    A group of systems, to be reverted; *client* is the Python SDK.

    *at* is the snapshot that it was reverted to last, None where that failed
    or was not done.
    """

    def __init__(self, config: pytest.Config, group: str) -> None:
        from hawkfish_plugin import client
        from hawkfish_plugin.cli import connection

        found = connection.connect(vars(config.option))
        self.client: client.HawkFish = client.HawkFish(
            found.url, found.username, found.password, found.verify
        )
        self.group = group
        self.at: str | None = None
        self._config = config

    def revert(
        self,
        snapshot: str | None = None,
        ready: Iterable[Check] | None = None,
    ) -> Reverted:
        """
        Revert all systems to *snapshot*, and wait until they are *ready*.

        They are what the options and the hook say if they are not given. The
        test fails if the lab cannot be reverted, or is not ready in time.
        """
        name = self.named(snapshot)
        self.at = None
        begin = time.monotonic()
        self._revert(name)
        reverted = time.monotonic()
        self._wait(self._checks() if ready is None else ready)
        self.at = name
        return _note(
            self._config,
            Reverted(
                self.group,
                name,
                reverted - begin,
                time.monotonic() - reverted,
            ),
        )

    def named(self, snapshot: str | None) -> str:
        """*snapshot*, or that of the options."""
        name: str | None
        name = snapshot or self._config.getoption('hawkfish_snapshot')
        if not name:
            pytest.fail(
                'Which snapshot? Give --hawkfish-snapshot or name it.',
                pytrace=False,
            )
        return name

    def _revert(self, name: str) -> None:
        from sushy import exceptions

        from hawkfish_plugin.cli import errors

        timeout = self._config.getoption('hawkfish_deadline')
        try:
            snapshots = self.client.group_snapshots(self.group)
            snapshots.get(name).revert().wait(timeout)
        except exceptions.SushyError as error:
            reason = errors.explain(error, self.client)
        else:
            return
        # Outside, as the report would have all that led to it as well.
        pytest.fail(
            f'{self.group} was not reverted to {name}: {reason}',
            pytrace=False,
        )

    def _checks(self) -> Sequence[Check]:
        found: Sequence[Check] | None
        found = self._config.hook.pytest_hawkfish_ready(lab=self)
        return (
            self._config.getoption('hawkfish_ready')
            if found is None
            else (found)
        )

    def _wait(self, checks: Iterable[Check]) -> None:
        seconds = self._config.getoption('hawkfish_deadline')
        deadline = time.monotonic() + seconds
        for check in checks:
            while not _is_ready(check):
                if time.monotonic() > deadline:
                    pytest.fail(
                        f'{_name(check)} is not ready {seconds:g} s after '
                        f'{self.group} was reverted.',
                        pytrace=False,
                    )
                time.sleep(_PAUSE_SECONDS)


def _is_ready(check: Check) -> bool:
    with contextlib.suppress(OSError):
        if callable(check):
            return bool(check())
        with socket.create_connection(check, _CONNECT_SECONDS):
            return True
    return False


def _name(check: Check) -> str:
    if callable(check):
        return getattr(check, '__name__', repr(check))
    host, port = check
    return f'{host}:{port}'


class Labs:
    """The lab of a session, the test that runs, and who was reverted for."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._lab: Lab | None = None
        self._done: set[tuple[str, ...]] = set()
        self.item: pytest.Item | None = None

    def get(self) -> Lab:
        """The lab that the options name."""
        if self._lab is None:
            self._lab = Lab(self._config, self._group())
        return self._lab

    def _group(self) -> str:
        group: str | None = self._config.getoption('hawkfish_group')
        if not group:
            pytest.fail('Which lab? Give --hawkfish-group.', pytrace=False)
        # Of a worker of pytest-xdist.
        about = getattr(self._config, 'workerinput', {})
        if about.get('workercount', 1) > 1 and WORKER not in group:
            pytest.fail(
                'Parallel tests cannot share a lab; with a group for each, '
                f'give for example --hawkfish-group lab-{WORKER}.',
                pytrace=False,
            )
        return group.replace(WORKER, about.get('workerid', 'gw0'))

    def revert_for(self, item: pytest.Item, mark: pytest.Mark) -> None:
        """Revert as *mark* of *item* says, unless its scope has been done."""
        wanted = _Wanted(*mark.args, **mark.kwargs)
        if wanted.scope == 'function':
            self.get().revert(wanted.snapshot, wanted.ready)
        else:
            self.revert_once(item, wanted)

    def revert_once(
        self, node: pytest.Item | pytest.Collector, wanted: '_Wanted'
    ) -> None:
        """
        Revert for a scope of *node*, unless that has been done.

        Anew where the lab has been reverted to another snapshot since.
        """
        lab = self.get()
        name = lab.named(wanted.snapshot)
        module = node.nodeid.partition('::')[0]
        key = (
            wanted.scope,
            module if wanted.scope == 'module' else '',
            name,
        )
        if key not in self._done or lab.at != name:
            lab.revert(name, wanted.ready)
            self._done.add(key)


@dataclasses.dataclass(frozen=True)
class _Wanted:
    """The arguments of the marker."""

    snapshot: str | None = None
    scope: str = 'function'
    ready: Iterable[Check] | None = None

    def __post_init__(self) -> None:
        if self.scope not in SCOPES:
            raise ValueError(f'scope {self.scope!r} is none of {SCOPES}')


def _note(config: pytest.Config, reverted: Reverted) -> Reverted:
    item = config.stash[_LABS].item
    if item is not None:
        item.user_properties += reverted.properties()
    return reverted


# Fixtures -----------------------------------------------------------------


@pytest.fixture(scope='session')
def hawkfish_lab(pytestconfig: pytest.Config) -> Lab:
    """The lab of ``--hawkfish-group``, as it is."""
    return pytestconfig.stash[_LABS].get()


@pytest.fixture
def hawkfish_reverted(hawkfish_lab: Lab) -> Lab:
    """The lab, reverted for this test to ``--hawkfish-snapshot``."""
    hawkfish_lab.revert()
    return hawkfish_lab


@pytest.fixture(scope='module')
def hawkfish_reverted_module(
    request: pytest.FixtureRequest, hawkfish_lab: Lab
) -> Lab:
    """The lab, reverted once for the tests of a module."""
    request.config.stash[_LABS].revert_once(
        request.node, _Wanted(None, 'module')
    )
    return hawkfish_lab


@pytest.fixture(scope='session')
def hawkfish_reverted_session(
    request: pytest.FixtureRequest, hawkfish_lab: Lab
) -> Lab:
    """The lab, reverted once for all tests."""
    request.config.stash[_LABS].revert_once(
        request.node, _Wanted(None, 'session')
    )
    return hawkfish_lab


# What pytest calls --------------------------------------------------------


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(Hooks)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup('hawkfish', 'labs of HawkFish Snapshots')
    group.addoption(
        '--hawkfish-url',
        metavar='URL',
        help='URL of the emulator (HAWKFISH_URL); credentials are those of '
        'the command line: HAWKFISH_USERNAME, HAWKFISH_PASSWORD and so on.',
    )
    group.addoption(
        '--hawkfish-cloud',
        metavar='NAME',
        help='entry of clouds.yaml to take URL and credentials from '
        '(HAWKFISH_CLOUD)',
    )
    group.addoption(
        '--hawkfish-group',
        metavar='GROUP',
        help='group of systems that is the lab',
    )
    group.addoption(
        '--hawkfish-snapshot',
        metavar='SNAPSHOT',
        help='snapshot of the group that tests begin with',
    )
    group.addoption(
        '--hawkfish-ready',
        type=_port,
        action='append',
        default=[],
        metavar='HOST:PORT',
        help='TCP port that has to be open after a revert; may be repeated',
    )
    group.addoption(
        '--hawkfish-deadline',
        type=float,
        default=DEADLINE_SECONDS,
        metavar='SECONDS',
        help='how long a revert may take, and then the lab to be ready; '
        f'{DEADLINE_SECONDS:g} if not given',
    )


def _port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(':')
    if not host or not port.isdigit():
        # argparse turns it into an error of usage.
        raise ValueError(text)
    return host.strip('[]'), int(port)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_LABS] = Labs(config)
    config.addinivalue_line(
        'markers',
        "hawkfish_revert(snapshot=None, scope='function', ready=None): revert "
        'the lab first: for each test, or once for a module or the session; '
        'ready is what to wait for then, (host, port) or a callable.',
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    labs = item.config.stash[_LABS]
    labs.item = item
    # Before any fixture, as these may connect to the guests.
    mark = item.get_closest_marker('hawkfish_revert')
    if mark is not None:
        labs.revert_for(item, mark)
    # A fixture that is there already would not be set up again.
    for scope in ('module', 'session'):
        if f'hawkfish_reverted_{scope}' in getattr(item, 'fixturenames', ()):
            labs.revert_once(item, _Wanted(None, scope))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    found = [
        (report.nodeid, *reverted)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, 'when', None) == 'teardown'
        for reverted in _reverts(report.user_properties)
    ]
    if not found:
        return
    total = sum(seconds + ready for _, _, seconds, ready in found)
    reverts = 'revert' if len(found) == 1 else 'reverts'
    terminalreporter.section(
        f'HawkFish: {len(found)} {reverts} in {total:.1f} s'
    )
    for nodeid, what, seconds, ready in found:
        terminalreporter.line(
            f'{seconds:7.2f} s, ready after {ready:.2f} s: {what} for {nodeid}'
        )


def _reverts(
    properties: Sequence[tuple[str, Any]],
) -> Iterator[tuple[str, float, float]]:
    """What was reverted, and both of its times; see Reverted.properties."""
    values = [
        value for name, value in properties if name.startswith(_PROPERTY)
    ]
    for start in range(0, len(values), 3):
        what, seconds, ready = values[start : start + 3]
        yield what, float(seconds), float(ready)
