# SPDX-License-Identifier: Apache-2.0
"""
The pytest plugin: real runs of pytest against an emulator of its own.

Long, as each option and each fixture has a run, with its tests as text.
"""

import re
import textwrap
import xml.etree.ElementTree as ET

import pytest
import requests

# A run in this process forgets what it has imported itself.
from hawkfish_plugin import client  # noqa: F401
from tests.served import Served, free_port

pytest_plugins = ('pytester',)

SYSTEMS = ('fake', 'fake-1')


@pytest.fixture(scope='module')
def served(tmp_path_factory):
    """An emulator with the group ``lab``, and its snapshot ``clean``."""
    made = Served(tmp_path_factory.mktemp('emulator'))
    made.command[0] = 'hawkfish-emulator'
    made.command += ['--fake-systems', '2']
    made.start()
    groups = f'{made.url}/redfish/v1/AggregationService/Aggregates'
    elements = [{'@odata.id': f'/redfish/v1/Systems/{s}'} for s in SYSTEMS]
    requests.post(
        groups, json={'Name': 'lab', 'Elements': elements}
    ).raise_for_status()
    for name in ('clean', 'other'):
        made.wait(
            requests.post(
                f'{groups}/lab/Oem/HawkFish/Snapshots', json={'Name': name}
            )
        )
    yield made
    made.stop()


@pytest.fixture
def run(served, pytester, monkeypatch):
    """
    Run pytest with *options* on a module with *source*.

    *apart* is in a process of its own.
    """
    for name in ('HAWKFISH_URL', 'HAWKFISH_CLOUD', 'PYTEST_ADDOPTS'):
        monkeypatch.delenv(name, raising=False)

    def run_pytest(source, *options, apart=False):
        pytester.makepyfile(textwrap.dedent(source))
        start = (
            pytester.runpytest_subprocess
            if apart
            else pytester.runpytest_inprocess
        )
        return start(
            *('-p', 'no:cacheprovider', '-q', '--strict-markers'),
            *(f'--hawkfish-url={served.url}', '--hawkfish-group=lab'),
            *options,
        )

    return run_pytest


@pytest.fixture
def reverts(served):
    """The snapshots that the group was reverted to since, in order."""

    def tasks():
        return [
            task['Oem']['HawkFish']['Snapshot']
            for task in served.tasks()
            if task['Oem'].get('HawkFish', {}).get('Operation')
            == 'group-revert'
        ]

    before = len(tasks())
    return lambda: tasks()[before:]


def test_it_costs_nothing_where_it_is_not_used(run):
    """A run without a lab imports nothing of the package but the plugin."""
    result = run(
        """
        import sys

        def test_nothing():
            ours = [m for m in sys.modules if m.startswith('hawkfish_plugin')]
            assert ours == ['hawkfish_plugin', 'hawkfish_plugin.pytest_plugin']
            assert not {'sushy', 'requests', 'cliff'} & set(sys.modules)
        """,
        apart=True,
    )

    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line('*HawkFish*')


@pytest.mark.parametrize(
    'scope, expected',
    [
        ('function', ['clean', 'clean']),
        ('module', ['clean']),
        ('session', ['clean']),
    ],
)
def test_the_marker(run, reverts, scope, expected):
    """The lab is reverted before each test, or once."""
    result = run(
        f"""
        import pytest

        pytestmark = pytest.mark.hawkfish_revert('clean', scope='{scope}')

        def test_one():
            pass

        def test_two():
            pass
        """
    )

    result.assert_outcomes(passed=2)
    assert reverts() == expected


@pytest.mark.parametrize('scope', ['module', 'session'])
def test_another_snapshot_in_between(run, reverts, scope):
    """A test never runs on another one than its marker, or fixture, says."""
    result = run(
        f"""
        import pytest

        whole = pytest.mark.hawkfish_revert('clean', scope='{scope}')

        def current(lab):
            found = lab.client.group_snapshots('lab').get_members()
            return [snapshot.name for snapshot in found if snapshot.is_current]

        @whole
        def test_one(hawkfish_lab):
            assert current(hawkfish_lab) == ['clean']

        @pytest.mark.hawkfish_revert('other')
        def test_two(hawkfish_lab):
            assert current(hawkfish_lab) == ['other']

        @whole
        def test_three(hawkfish_lab):
            assert current(hawkfish_lab) == ['clean']

        def test_four(hawkfish_reverted_{scope}):
            hawkfish_reverted_{scope}.revert('other')

        def test_five(hawkfish_reverted_{scope}):
            assert current(hawkfish_reverted_{scope}) == ['clean']
        """,
        '--hawkfish-snapshot=clean',
    )

    result.assert_outcomes(passed=5)
    assert reverts() == ['clean', 'other', 'clean', 'other', 'clean']


def test_scopes_of_two_modules(run, reverts, pytester):
    """A module is reverted for by itself, a session once for all."""
    for scope in ('module', 'session'):
        for name in ('a', 'b'):
            pytester.makepyfile(
                **{
                    f'test_{scope}_{name}': f"""
                    import pytest

                    @pytest.mark.hawkfish_revert('clean', scope='{scope}')
                    @pytest.mark.parametrize('number', range(2))
                    def test_it(number):
                        pass
                    """
                }
            )

    result = run('')

    result.assert_outcomes(passed=8)
    assert reverts() == ['clean'] * 3


def test_the_closest_marker_counts(run, reverts):
    """A test may want another snapshot than its module does."""
    result = run(
        """
        import pytest

        pytestmark = pytest.mark.hawkfish_revert('clean')

        @pytest.mark.hawkfish_revert('other')
        def test_one():
            pass

        def test_two():
            pass
        """
    )

    result.assert_outcomes(passed=2)
    assert reverts() == ['other', 'clean']


def test_the_marker_comes_before_fixtures(run, reverts):
    """A fixture may connect to guests, so they are there before."""
    result = run(
        """
        import pytest

        @pytest.fixture(scope='session')
        def connection(hawkfish_lab):
            snapshots = hawkfish_lab.client.group_snapshots('lab')
            return [s.name for s in snapshots.get_members() if s.is_current]

        @pytest.mark.hawkfish_revert('clean')
        def test_one(connection):
            assert connection == ['clean']
        """
    )

    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    'fixture, expected',
    [
        ('hawkfish_reverted', ['other', 'other']),
        ('hawkfish_reverted_module', ['other']),
        ('hawkfish_reverted_session', ['other']),
        ('hawkfish_lab', []),
    ],
)
def test_the_fixtures(run, reverts, fixture, expected):
    """They are the lab, reverted to the snapshot of the option."""
    result = run(
        f"""
        def test_one({fixture}):
            assert {fixture}.group == 'lab'

        def test_two({fixture}):
            pass
        """,
        '--hawkfish-snapshot=other',
    )

    result.assert_outcomes(passed=2)
    assert reverts() == expected


def test_a_revert_in_the_middle_of_a_test(run, reverts):
    """A test may revert the lab when it wants, and gets the times."""
    result = run(
        """
        def test_one(hawkfish_lab):
            reverted = hawkfish_lab.revert('other')
            assert reverted.seconds > 0
            assert reverted.ready_seconds >= 0
            hawkfish_lab.revert('clean', ready=[lambda: True])
        """
    )

    result.assert_outcomes(passed=1)
    assert reverts() == ['other', 'clean']


def test_times_are_in_the_report(run, pytester):
    """The summary and JUnit's XML tell what each test cost."""
    result = run(
        """
        import pytest

        @pytest.mark.hawkfish_revert
        def test_one(hawkfish_lab):
            hawkfish_lab.revert('other')

        def test_two():
            pass

        @pytest.mark.hawkfish_revert
        def test_three():
            assert False
        """,
        *('--hawkfish-snapshot=clean', '--junitxml=report.xml'),
    )

    result.assert_outcomes(passed=2, failed=1)
    result.stdout.re_match_lines(
        [r'=+ HawkFish: 3 reverts in \d+\.\d s =+']
        + [
            rf' +\d+\.\d\d s, ready after 0\.\d\d s: lab {what}'
            for what in (
                'clean for .*::test_one',
                'other for .*::test_one',
                'clean for .*::test_three',
            )
        ]
    )
    cases = {
        case.attrib['name']: [
            (p.attrib['name'], p.attrib['value'])
            for p in case.iter('property')
        ]
        for case in ET.parse(pytester.path / 'report.xml').iter('testcase')
    }
    names = [name for name, _ in cases['test_one']]
    assert names == 2 * [
        'hawkfish_revert',
        'hawkfish_revert_seconds',
        'hawkfish_revert_ready_seconds',
    ]
    assert cases['test_one'][0][1] == 'lab clean'
    assert re.fullmatch(r'\d+\.\d{3}', cases['test_one'][1][1])
    assert cases['test_two'] == []
    assert len(cases['test_three']) == 3


def test_a_port_is_awaited(run):
    """The test goes on when somebody listens, and not before."""
    port = free_port()

    result = run(
        f"""
        import socket, threading

        listening = threading.Event()

        def serve():
            with socket.create_server(('127.0.0.1', {port})) as listener:
                listening.set()
                listener.accept()

        def test_one(hawkfish_lab):
            later = threading.Timer(1, serve)
            later.daemon = True
            later.start()
            hawkfish_lab.revert('clean')
            assert listening.is_set()
        """,
        f'--hawkfish-ready=localhost:{port}',
    )

    result.assert_outcomes(passed=1)


@pytest.mark.parametrize('check', ["('127.0.0.1', 1)", 'never'])
def test_a_deadline(run, check):
    """What is not ready in time fails the test, and is named."""
    result = run(
        f"""
        import pytest

        def never():
            return False

        @pytest.mark.hawkfish_revert('clean', ready=[{check}])
        def test_one():
            pass
        """,
        '--hawkfish-deadline=0.5',
    )

    result.assert_outcomes(errors=1)
    told = 'never' if check == 'never' else '127.0.0.1:1'
    result.stdout.fnmatch_lines(
        [f'*{told} is not ready 0.5 s after lab was reverted.*']
    )


def test_the_hook(run, pytester):
    """A conftest.py says what to wait for, in the place of the option."""
    pytester.makeconftest(
        """
        asked = []

        def pytest_hawkfish_ready(lab):
            def answers():
                asked.append(lab.group)
                if len(asked) < 3:
                    raise ConnectionRefusedError
                return True

            return [answers]
        """
    )

    result = run(
        """
        import conftest
        import pytest

        @pytest.mark.hawkfish_revert('clean')
        def test_one():
            assert conftest.asked == ['lab'] * 3
        """,
        '--hawkfish-ready=127.0.0.1:1',
    )

    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    'options, told',
    [
        (['--hawkfish-group='], 'Which lab? Give --hawkfish-group.'),
        ([], 'Which snapshot? Give --hawkfish-snapshot or name it.'),
        (
            ['--hawkfish-snapshot=none'],
            "lab was not reverted to none: There is no snapshot 'none' of *",
        ),
        (
            ['--hawkfish-snapshot=clean', '--hawkfish-url=http://127.0.0.1:1'],
            'lab was not reverted to clean: Cannot reach the emulator at *',
        ),
    ],
)
def test_what_fails_a_test(run, options, told):
    """A lab that cannot be reverted is told in one line, as an error."""
    result = run(
        """
        import pytest

        @pytest.mark.hawkfish_revert
        def test_one():
            pass
        """,
        *options,
    )

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f'*{told}*'])
    result.stdout.no_fnmatch_line('*Traceback*')
    result.stdout.no_fnmatch_line('*During handling of*')
    result.stdout.no_fnmatch_line('*direct cause of*')


@pytest.mark.parametrize(
    'option', ['--hawkfish-ready=22', '--hawkfish-ready=host:ssh']
)
def test_a_port_that_is_none(run, option):
    """It is refused before any test runs."""
    result = run('def test_one(): pass', option)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(['*--hawkfish-ready*'])


def test_a_scope_that_is_none(run):
    """A typing error does not let tests share a lab unnoticed."""
    result = run(
        """
        import pytest

        @pytest.mark.hawkfish_revert('clean', scope='package')
        def test_one():
            pass
        """
    )

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*scope 'package' is none of*"])


def test_parallel_tests_do_not_share_a_lab(run, reverts):
    """Two workers are refused one group, unless each has its own."""
    source = """
        import pytest

        @pytest.mark.parametrize('number', range(2))
        @pytest.mark.hawkfish_revert('clean')
        def test_it(number):
            pass
        """

    result = run(source, '-n', '2', apart=True)
    assert reverts() == []
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(['*Parallel tests cannot share a lab*'])

    result = run(source, '-n', '1', apart=True)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(['*HawkFish: 2 reverts in *'])
    assert reverts() == ['clean', 'clean']


def test_credentials_come_from_the_environment(
    run, tmp_path, monkeypatch, served
):
    """As for the command line: the environment, and clouds.yaml."""
    clouds = tmp_path / 'hawkfish' / 'clouds.yaml'
    clouds.parent.mkdir()
    clouds.write_text(
        f'clouds: {{here: {{auth: {{endpoint: {served.url}}}}}}}'
    )
    monkeypatch.setenv('XDG_CONFIG_HOME', str(tmp_path))
    source = """
        def test_one(hawkfish_lab):
            assert hawkfish_lab.client.url == {url!r}
            assert hawkfish_lab.client.username == {user!r}
        """

    named = run(
        source.format(url=served.url, user=None),
        *('--hawkfish-url=', '--hawkfish-cloud=here'),
    )
    monkeypatch.setenv('HAWKFISH_URL', 'http://elsewhere.example')
    monkeypatch.setenv('HAWKFISH_USERNAME', 'me')
    monkeypatch.setenv('HAWKFISH_PASSWORD', 'secret')
    found = run(
        source.format(url='http://elsewhere.example', user='me'),
        '--hawkfish-url=',
    )

    named.assert_outcomes(passed=1)
    found.assert_outcomes(passed=1)


def test_it_is_registered(run):
    """pytest finds it by itself, with its options and its marker."""
    help_text = run('', '--help').stdout.str()
    markers = run('', '--markers').stdout.str()

    for option in ('url', 'group', 'snapshot', 'ready', 'deadline'):
        assert f'--hawkfish-{option}' in help_text
    assert '@pytest.mark.hawkfish_revert(' in markers
