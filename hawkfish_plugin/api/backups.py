# SPDX-License-Identifier: Apache-2.0
"""
Backups over HTTP.

Owns the routes below ``Systems/{id}/Oem/HawkFish/Backups``.  They are there
for a system that is gone as well: that is what backups are for.
"""

import functools

import flask

from hawkfish_plugin import exceptions
from hawkfish_plugin.api import noting, queries, validation, verifications
from hawkfish_plugin.api.access import (
    check_if_match,
    find_number,
    found_by_uri,
    missing,
    named_system,
    operation,
    payload,
    services,
)
from hawkfish_plugin.api.answers import accepted, answer
from hawkfish_plugin.api.blueprint import blueprint
from hawkfish_plugin.api.bodies import Body, read_body
from hawkfish_plugin.api.snapshot_bodies import TEXT
from hawkfish_plugin.backup_catalogue import BackupView
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.operations.backup import BackUp, BackupOptions
from hawkfish_plugin.operations.backup_delete import DeleteBackups
from hawkfish_plugin.operations.backup_restore import RestoreBackup
from hawkfish_plugin.operations.backup_verify import VerifyBackup
from hawkfish_plugin.operations.receiving import ImportOptions
from hawkfish_plugin.operations.restore_over import RestoreOver
from hawkfish_plugin.redfish import backups, uris

COLLECTION = '/Systems/<identity>/Oem/HawkFish/Backups'
MEMBER = f'{COLLECTION}/<backup_id>'

_CREATE = validation.RequestBody(
    {
        'BackupType': {
            'type': 'string',
            'enum': [backups.FULL, backups.INCREMENTAL],
        },
        'Description': TEXT,
        'Quiesce': {'type': 'string', 'enum': [*contract.QUIESCE_MODES]},
    }
)
_RESTORE = validation.parameters(uris.RESTORE_BACKUP_ACTION)


@blueprint.get(COLLECTION)
def list_backups(identity: str) -> flask.Response:
    system = _find_system(identity)
    repository = services().backups.repository()
    return answer(
        queries.listing(
            services().backups.list(system),
            lambda view: uris.backup_uri(system.uuid, view.stored.id),
            backups.backup,
            functools.partial(
                backups.backup_collection, system.uuid, repository
            ),
        )
    )


@blueprint.post(COLLECTION)
@blueprint.post(f'{COLLECTION}/Members')
def create_backup(identity: str) -> flask.Response:
    system = _find_system(identity)
    body = read_body()
    options = read_options(body)
    return accepted(operation(BackUp).submit(system, options, payload(body)))


def read_options(body: Body) -> BackupOptions:
    """The options of a backup in *body*."""
    _CREATE.check(body)
    return BackupOptions(
        body.get('BackupType') == backups.FULL,
        body.get('Description', ''),
        body.get('Quiesce'),
    )


@blueprint.get(MEMBER)
def show_backup(identity: str, backup_id: str) -> flask.Response:
    queries.check(())
    found = _find(_find_system(identity), backup_id)
    return answer(backups.backup(found))


@blueprint.delete(MEMBER)
def delete_backup(identity: str, backup_id: str) -> flask.Response:
    system = _find_system(identity)
    validation.read_nothing()
    found = _find(system, backup_id)
    check_if_match(lambda: backups.backup(found))
    delete = operation(DeleteBackups)
    return accepted(delete.submit(system, found.stored.id, payload({})))


@blueprint.post(f'{MEMBER}/Actions/{uris.VERIFY_BACKUP_ACTION}')
def verify_backup(identity: str, backup_id: str) -> flask.Response:
    system = _find_system(identity)
    body = read_body()
    number = _find(system, backup_id).stored.id
    request = verifications.read_of_backup(number, body)
    verify = operation(VerifyBackup)
    return accepted(verify.submit(system, number, request, payload(body)))


@blueprint.get(f'{MEMBER}/screenshot')
def send_backup_screenshot(identity: str, backup_id: str) -> flask.Response:
    queries.check(())
    system = _find_system(identity)
    number = _find(system, backup_id).stored.id
    return verifications.png(services().backups.screenshot(system, number))


@blueprint.post(f'{MEMBER}/Actions/{uris.RESTORE_BACKUP_ACTION}')
def restore_backup(identity: str, backup_id: str) -> flask.Response:
    system = _find_system(identity)
    body = read_body()
    _RESTORE.check(body)
    number = _find(system, backup_id).stored.id
    if 'Over' in body:
        return _restore_over(system, number, body)
    options = ImportOptions(
        body.get('Name'), body.get('Pool'), body.get('Start', False)
    )
    restore = operation(RestoreBackup)
    task = restore.submit(system, number, options, payload(body))
    return accepted(task)


def _restore_over(
    system: contract.System, number: int, body: Body
) -> flask.Response:
    for name in ('Name', 'Pool'):
        if name in body:
            raise exceptions.PropertyValueConflict(name, 'Over')
    over = named_system(body['Over'])
    restore_over = operation(RestoreOver)
    start = body.get('Start', False)
    return accepted(
        restore_over.submit(over, system, number, start, payload(body))
    )


def _find_system(identity: str) -> contract.System:
    try:
        system = services().backups.system(identity)
    except exceptions.SystemNotFound:
        raise missing() from None
    if not services().may_serve(system):
        raise missing()
    noting.note_systems(system)
    return system


def _find(system: contract.System, backup_id: str) -> BackupView:
    with found_by_uri(exceptions.BackupNotFound):
        return services().backups.get(system, find_number(backup_id))
