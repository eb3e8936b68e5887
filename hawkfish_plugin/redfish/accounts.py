# SPDX-License-Identifier: Apache-2.0
"""The account service in Redfish, with its accounts and roles."""

import dataclasses
import hashlib
from collections.abc import Sequence

from hawkfish_plugin.accounts.roles import PRIVILEGES
from hawkfish_plugin.accounts.table import Account
from hawkfish_plugin.accounts.users import MOST_BYTES
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.redfish.common import (
    Resource,
    collection,
    link,
    with_etag,
)


@dataclasses.dataclass(frozen=True)
class Rules:
    """What is asked of passwords, and of who gives wrong ones."""

    min_length: int
    lockout_threshold: int
    lockout_seconds: int


def account_service(is_enabled: bool, rules: Rules) -> Resource:
    """*is_enabled*: whether anybody is asked for a password."""
    return with_etag(
        {
            '@odata.id': uris.ACCOUNT_SERVICE,
            '@odata.type': '#AccountService.v1_15_0.AccountService',
            'Id': 'AccountService',
            'Name': 'Account Service',
            'ServiceEnabled': is_enabled,
            'Status': {
                'State': 'Enabled' if is_enabled else 'Disabled',
                'Health': 'OK',
            },
            'HTTPBasicAuth': 'Enabled' if is_enabled else 'Disabled',
            'MinPasswordLength': rules.min_length,
            'MaxPasswordLength': MOST_BYTES,
            'AccountLockoutThreshold': rules.lockout_threshold,
            'AccountLockoutDuration': rules.lockout_seconds,
            'AccountLockoutCounterResetAfter': rules.lockout_seconds,
            'SupportedAccountTypes': ['Redfish'],
            'Accounts': link(uris.ACCOUNTS),
            'Roles': link(uris.ROLES),
            'PrivilegeMap': link(uris.PRIVILEGE_MAP),
        }
    )


def account_collection(members: Sequence[Resource], total: int) -> Resource:
    return collection(
        uris.ACCOUNTS,
        '#ManagerAccountCollection.ManagerAccountCollection',
        'Accounts Collection',
        members,
        total,
    )


def account(record: Account) -> Resource:
    shown = {
        '@odata.id': uris.account_uri(record.name),
        '@odata.type': '#ManagerAccount.v1_13_0.ManagerAccount',
        'Id': record.name,
        'Name': 'User Account',
        'UserName': record.name,
        'Password': None,
        'RoleId': record.role,
        'Enabled': record.enabled,
        # Of an account, nobody is kept out but from an address.
        'Locked': False,
        'AccountTypes': ['Redfish'],
        'Links': {'Role': link(uris.role_uri(record.role))},
    }
    # Another password is another account, and its salt cannot be guessed.
    digest = hashlib.sha256(record.entry.encode()).hexdigest()
    etag = with_etag({**shown, 'Password': digest})['@odata.etag']
    return {**shown, '@odata.etag': etag}


def role_collection(members: Sequence[Resource], total: int) -> Resource:
    return collection(
        uris.ROLES,
        '#RoleCollection.RoleCollection',
        'Roles Collection',
        members,
        total,
    )


def role(name: str) -> Resource:
    return with_etag(
        {
            '@odata.id': uris.role_uri(name),
            '@odata.type': '#Role.v1_3_0.Role',
            'Id': name,
            'Name': f'{name} Role',
            'RoleId': name,
            'IsPredefined': True,
            'AssignedPrivileges': list(PRIVILEGES[name]),
            'OemPrivileges': [],
        }
    )
