# SPDX-License-Identifier: Apache-2.0
"""Backups and their collection in Redfish."""

from collections.abc import Sequence

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.backup_catalogue import BackupView, Repository
from hawkfish_plugin.backups import StoredBackup
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.redfish.common import (
    Resource,
    actions,
    collection,
    link,
    timestamp,
    verification,
    with_etag,
)

FULL, INCREMENTAL = 'Full', 'Incremental'


def backup_collection(
    uuid: str,
    repository: Repository,
    members: Sequence[Resource],
    total: int,
) -> Resource:
    flaw = repository.flaw
    return {
        **collection(
            uris.backups_uri(uuid),
            '#HawkFishBackupCollection.HawkFishBackupCollection',
            'Backup Collection',
            members,
            total,
        ),
        'Repository': {
            'Pool': repository.pool,
            'Usable': flaw is None,
            'Finding': flaw and _text(flaw),
        },
    }


def _text(error: exceptions.HawkFishError) -> str:
    """*error* and its way out."""
    return ' '.join(
        f'{found["Message"]} {found["Resolution"]}'
        for found in messages.of_error(error)
    )


def backup(view: BackupView) -> Resource:
    """One HawkFishBackup, with its ETag."""
    stored, made = view.stored, view.stored.made
    uuid = stored.system.uuid
    uri = uris.backup_uri(uuid, stored.id)
    return with_etag(
        {
            '@odata.id': uri,
            '@odata.type': '#HawkFishBackup.v1_0_0.HawkFishBackup',
            'Id': str(stored.id),
            'Name': f'Backup of {stored.system.name}',
            'Description': stored.description,
            'BackupType': INCREMENTAL if made.parent else FULL,
            'FullReason': None if made.parent else made.reason,
            'BackupState': 'Deleting' if stored.deleting else 'Ready',
            'CreatedTime': timestamp(stored.created),
            'PowerState': made.power_state,
            'QuiesceStatus': made.quiesce,
            'SizeBytes': made.size,
            'Pool': made.pool,
            'Files': [
                {
                    'Path': one.name,
                    'Role': one.role,
                    'SizeBytes': one.size,
                    'SHA256': one.sha256,
                }
                for one in made.members
            ],
            'LeftOut': [
                {'Part': one.what, 'Reason': one.reason}
                for one in made.left_out
            ],
            'LastVerified': stored.verified and timestamp(stored.verified),
            'VerifyResult': _result(stored),
            'VerifyFinding': stored.finding or None,
            'Verification': _verification(stored),
            'Links': {
                'ComputerSystem': link(uris.system_uri(uuid)),
                'Parent': view.parent
                and link(uris.backup_uri(uuid, view.parent)),
                'Children': [
                    link(uris.backup_uri(uuid, one)) for one in view.children
                ],
            },
            'Actions': actions(
                uri, (uris.RESTORE_BACKUP_ACTION, uris.VERIFY_BACKUP_ACTION)
            ),
        }
    )


def _result(stored: StoredBackup) -> str | None:
    if stored.verified is None:
        return None
    return 'Failed' if stored.finding else 'Passed'


def _verification(stored: StoredBackup) -> Resource | None:
    if stored.found is None:
        return None
    uri = uris.backup_screenshot_uri(stored.system.uuid, stored.id)
    return verification(stored.found, uri if stored.pictured else None)
