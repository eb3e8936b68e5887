# SPDX-License-Identifier: Apache-2.0
"""
Every path, by every method and every role.

The paths are those of the route table, the emulator's own among them.  What
each role may do is written here once more, by hand, as the standard has it:
an entry of the map that is wrong is seen.
"""

import re

import pytest

from hawkfish_plugin.accounts.roles import PRIVILEGES
from hawkfish_plugin.emulator import authentication
from hawkfish_plugin.redfish import privileges
from tests.served import FAKE_UUID, message_ids
from tests.unit.accounts.conftest import guarding

V1 = '/redfish/v1/'
METHODS = ('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE')
WRITING = METHODS[2:]
# Below these, who is an Operator may write.
OPERATED = re.compile(
    V1 + r'(?!Systems/[^/]+/VirtualMedia|Systems/Bios/BiosRegistry'
    r'|Chassis/[^/]+/Thermal|AggregationService$)'
    r'(Systems|Chassis|UpdateService|AggregationService|Oem/HawkFish)'
)
CANCELLED = re.compile(V1 + 'TaskService/(Tasks|TaskMonitors)/[^/]+$')
FETCHED = re.compile(V1 + '.*/Exports/[^/]+/bundle$')
CERTIFICATES = re.compile(V1 + r'.*(Certificates(/|$)|CertificateLocations)')
SOMEBODYS = re.compile(
    V1 + '(AccountService/Accounts|SessionService/Sessions)/.'
)
OWN_USER = {'Administrator': 'boss', 'Operator': 'hand', 'ReadOnly': 'eye'}


def served_paths(app):
    """Each path that there is, with names of what there is, or could be."""
    for rule in app.url_map.iter_rules():
        path = re.sub(
            r'<(?:\w+:)?(\w+)>',
            lambda match: {'identity': FAKE_UUID}.get(match[1], 'nothing'),
            rule.rule,
        )
        yield rule, path.rstrip('/')


def is_open(method, path):
    return (method, path) in authentication.OPEN or path in (
        '/redfish',
        '/redfish/v1',
    )


def is_allowed(role, method, path):
    """Of what is nobody's own."""
    if CERTIFICATES.match(path):
        return role == 'Administrator'
    if FETCHED.match(path):
        return role != 'ReadOnly'
    if method == 'HEAD' and not SOMEBODYS.match(path):
        return True
    if re.match(
        f'{V1}(AccountService/Accounts|SessionService/Sessions)/.', path
    ):
        return role == 'Administrator'
    if method not in WRITING or role == 'Administrator':
        return True
    if role == 'ReadOnly':
        return False
    if path == f'{V1}EventService/Subscriptions' or path.endswith(
        'Subscriptions/Members'
    ):
        return True
    if method == 'DELETE' and CANCELLED.match(path):
        return True
    return bool(OPERATED.match(path))


@pytest.fixture(scope='module')
def cells(served_app, tmp_path_factory):
    """The status of each cell, and who has answered."""
    client, found = served_app.app.test_client(), {}
    served_app.services.start()
    with guarding(served_app, tmp_path_factory.mktemp('matrix')) as guarded:
        tokens = {
            role: guarded.login(user).headers['X-Auth-Token']
            for role, user in OWN_USER.items()
        }
        for rule, path in served_paths(served_app.app):
            for role, token in (*tokens.items(), (None, '')):
                for method in sorted(rule.methods & set(METHODS)):
                    if path.endswith('/SSE') and method == 'GET' and role:
                        continue
                    answer = client.open(
                        path or '/',
                        method=method,
                        headers={'X-Auth-Token': token},
                        json={'Nothing': 1} if method in WRITING else None,
                    )
                    answer.close()
                    found[role, method, path] = answer.status_code
    return found


def test_each_cell(cells):
    """Whoever may not is told so by 403, without a role by 401."""
    wrong = []
    for (role, method, path), status in cells.items():
        if path.startswith('/static'):
            continue
        if is_open(method, path):
            fits = status not in (401, 403)
            fits |= method == 'POST' and 'SessionService' in path
        elif role is None:
            fits = status == 401
        elif is_allowed(role, method, path):
            fits = status not in (401, 403)
        else:
            fits = status == 403
        if not fits:
            wrong.append(f'{role} {method} {path}: {status}')

    assert not wrong, '\n'.join(wrong)
    assert len(cells) > 900


def test_the_matrix_has_both_answers(cells):
    """For Operators and readers there is what is served and what is not."""
    for role in ('Operator', 'ReadOnly'):
        of_role = {s for (r, _, _), s in cells.items() if r == role}
        assert {200, 403} <= of_role
    assert 403 not in {
        s for (r, _, _), s in cells.items() if r == 'Administrator'
    }


def test_every_resource_has_a_type_of_its_own(served_app):
    """No route below a service that there is falls back on the root's."""
    unmapped = [
        rule.rule
        for rule, path in served_paths(served_app.app)
        if path.startswith(V1)
        and privileges.entity_of(
            [p if p[:1] != '<' else '{}' for p in rule.rule.split('/')]
        )
        == 'ServiceRoot'
    ]

    assert {rule.removeprefix(V1).split('/')[0] for rule in unmapped} <= {
        '',
        'odata',
        '$metadata',
        'Schemas',
    }


def test_the_emulators_own_answer(served_app, tmp_path):
    """A refusal of a stock resource has the message of the standard."""
    uri = f'{V1}Systems/{FAKE_UUID}'
    with guarding(served_app, tmp_path) as guarded:
        refused = guarded.ask(
            'eye',
            'POST',
            f'{uri}/Actions/ComputerSystem.Reset',
            json={'ResetType': 'On'},
        )
        shown = guarded.ask('eye', 'GET', uri)

    assert refused.status_code == 403
    assert message_ids(refused) == ['InsufficientPrivilege']
    assert shown.json()['PowerState'] == 'Off'


def entity_above(parts):
    """The type of the member of a collection that a path begins with."""
    return privileges.entity_of(parts[:5])


def test_what_is_published_is_what_holds(served_app):
    """The registry as a client reads it grants what the service does."""
    registry = privileges.privilege_registry()
    mappings = {m['Entity']: m for m in registry['Mappings']}

    for rule, path in served_paths(served_app.app):
        parts = [p if p[:1] != '<' else '{}' for p in rule.rule.split('/')]
        entity = privileges.entity_of(parts)
        overridden = CANCELLED.match(path) or FETCHED.match(path)
        if not path.startswith(V1) or overridden:
            continue
        found = mappings[entity]
        for other in found.get('SubordinateOverrides', ()):
            # The types above it, as far as they are in its path.
            if other['Targets'][0] == 'ComputerSystem' == entity_above(parts):
                found = other
        for method in METHODS:
            told = {
                name
                for one in found['OperationMap'][method]
                for name in one['Privilege']
            } - {'NoAuth'}
            needed = set(privileges.needed(rule.rule, method))
            if (entity, method) == ('ManagerAccount', 'PATCH'):
                told.add('ConfigureSelf')
            assert told == needed, (path, method)


@pytest.mark.parametrize('role', PRIVILEGES)
def test_what_is_unknown_is_for_administrators(role):
    """A path that nobody has thought of can be read, and not written."""
    for method, is_for_all in (('GET', True), ('POST', False)):
        needed = privileges.needed('/redfish/v1/Later/<name>', method)
        granted = privileges.grants(role, needed, is_own=False)
        assert granted == (is_for_all or role == 'Administrator')


@pytest.mark.parametrize(
    'method, below',
    [
        ('POST', '/Oem/HawkFish/Snapshots'),
        ('POST', '/Actions/ComputerSystem.Reset'),
        ('PATCH', ''),
    ],
)
def test_the_log_of_a_system_has_what_was_refused(
    served_app, tmp_path, method, below
):
    """Whoever may not do that to the system, and what nothing is done with."""
    uri = f'{V1}Systems/{FAKE_UUID}'
    with guarding(served_app, tmp_path) as guarded:
        refused = guarded.ask('eye', method, uri + below, json={})
        log = f'{uri}/LogServices/Audit/Entries?$top=1'
        (entry,) = guarded.ask('boss', 'GET', log).json()['Members']

    assert refused.status_code == 403
    assert (entry['Username'], entry['Severity']) == ('eye', 'Warning')
    assert entry['Oem']['HawkFish']['TargetUri'] == uri + below
