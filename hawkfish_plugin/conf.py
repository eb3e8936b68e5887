# SPDX-License-Identifier: Apache-2.0
"""
The configuration options of the plugin.

Owns the names, defaults, limits and help of the options, and where they are
read from.  Their use is left to other modules.  The command line belongs to
the emulator, so the options are registered in a private ``ConfigOpts`` that
does not parse ``sys.argv``.

Long, as every option stands here, with its help.
"""

import ipaddress
import os
import pathlib
import posixpath
from typing import Any
from urllib import parse

from oslo_config import cfg, types

from hawkfish_plugin import exceptions

DEFAULT_FILE = '/etc/hawkfish/hawkfish.conf'
FILE_VARIABLE = 'HAWKFISH_CONFIG_FILE'


def _default_state_dir() -> str:
    if os.geteuid() == 0:
        return '/var/lib/hawkfish'
    home = os.environ.get('XDG_STATE_HOME') or '~/.local/state'
    return str(pathlib.Path(home).expanduser() / 'hawkfish')


class _Place(types.String):
    """A pattern of hosts, or an http or https URL."""

    def __call__(self, value: Any) -> str:
        text = str(super().__call__(value)).strip()
        parts = parse.urlsplit(text)
        # Reading the port raises ValueError if it is not valid.
        if '://' in text and not (
            parts.scheme in ('http', 'https')
            and parts.hostname
            and parts.port != 0
        ):
            raise ValueError(f'{text} is not an http or https URL')
        return text


class _Network(types.String):
    """An IP address, or a network of them."""

    def __call__(self, value: Any) -> Any:
        return ipaddress.ip_network(str(super().__call__(value)).strip())


class _Directory(types.String):
    """The absolute path of a directory of the hypervisor's host."""

    def __call__(self, value: Any) -> str:
        text = posixpath.normpath(str(super().__call__(value)).strip())
        if not text.startswith('/'):
            raise ValueError(f'{text!r} is not an absolute path')
        # A path that begins with two slashes is another one to POSIX alone.
        return '/' + text.lstrip('/')


hawkfish_opts: list[cfg.Opt] = [
    cfg.StrOpt(
        'state_dir',
        default=_default_state_dir(),
        sample_default='/var/lib/hawkfish',
        help='Directory of the state database and the locks, with one '
        'subdirectory for each hypervisor. Emulators that serve the same '
        'hypervisor must share it. Only its owner can read it. If the '
        'emulator does not run as root, the default is '
        '~/.local/state/hawkfish.',
    ),
    cfg.StrOpt(
        'driver',
        help='Name of the driver, an entry point in the group '
        'hawkfish.drivers. The default depends on the emulator: fake if it '
        'runs with "--fake", libvirt otherwise.',
    ),
    cfg.IntOpt(
        'web_threads',
        default=8,
        min=1,
        max=4096,
        help='Number of threads that each process of the web server has, as '
        'with "--threads" of gunicorn. Requests that wait occupy seven of '
        'eight at most: three for streams of events, two for the locks of '
        'systems, one for a download of virtual media, one for a bundle, one '
        'for an operation that a client prefers to wait for, and four for the '
        'decisions of others about the same system; a decision that finds no '
        'place is waited for no longer than two seconds. The server of '
        'sushy-emulator has a thread for each connection and ignores this.',
    ),
    cfg.BoolOpt(
        'mend_emulator',
        default=True,
        help="Whether to correct what the emulator's own resources have "
        'against the Redfish standard: links that lead nowhere, properties '
        'of another type or spelling, and errors without a message of a '
        'registry. If false, they are served as the emulator renders them.',
    ),
]

snapshots_opts: list[cfg.Opt] = [
    cfg.StrOpt(
        'type',
        default='auto',
        choices=[
            (
                'auto',
                'external, but internal for a system that has internal '
                'snapshots, and with libvirt before 9.0',
            ),
            (
                'external',
                'a new file for each disk, and one file for the memory',
            ),
            ('internal', 'inside the qcow2 files of the system'),
        ],
        help='Where the data of a snapshot is stored. A system that already '
        'has snapshots of one kind cannot get snapshots of the other: mixing '
        'them has caused data loss.',
    ),
    cfg.BoolOpt(
        'include_memory',
        default=True,
        help='Whether to save the memory of a running system if the request '
        'does not specify it.',
    ),
    cfg.Opt(
        'overlay_dir',
        type=_Directory(),
        help='Directory of the hypervisor host for the new files of the '
        'disks, of creates and of reverts: an absolute path, such as that '
        'of a storage pool. By default, each is next to the file that it is '
        'based on.',
    ),
    cfg.Opt(
        'memory_dir',
        type=_Directory(),
        help='Directory of the hypervisor host for the memory of running '
        'systems: an absolute path. By default, it is next to the new file '
        'of the first disk.',
    ),
    cfg.StrOpt(
        'quiesce',
        default='preferred',
        choices=[
            (
                'preferred',
                'quiesce if possible, continue with a warning if not',
            ),
            ('required', 'quiesce, fail if it is not possible'),
            ('never', 'do not use the guest agent'),
        ],
        help='Whether to quiesce the file systems of a running system '
        'through the QEMU guest agent if the request does not specify it. '
        'They are frozen while only disks are captured, or flushed right '
        'before the memory is saved.',
    ),
    cfg.IntOpt(
        'quiesce_timeout',
        default=5,
        min=1,
        max=300,
        help='Seconds that the guest agent has to respond to each command.',
    ),
    cfg.IntOpt(
        'space_headroom',
        default=256,
        min=0,
        help='MiB that must be free where the new files of the disks go, '
        'in addition to the space for the memory. These files '
        'grow with everything that the system writes from then on.',
    ),
    cfg.IntOpt(
        'max_chain_depth',
        default=0,
        min=0,
        max=200,
        help='Maximum number of files in the backing chain of a disk. 0 is '
        'the depth at which the installed libvirt is known to start a '
        'system: 20 for libvirt 10.8 up to 12.0, 150 otherwise.',
    ),
]

# A limit above these is a mistake: a hundred years, an exbibyte.
LARGEST_LIMITS = {
    'max_snapshots': 10_000,
    'max_age': 100 * 366 * 86_400,
    'max_bytes': 2**60,
}

retention_opts: list[cfg.Opt] = [
    cfg.IntOpt(
        'max_snapshots',
        default=0,
        min=0,
        max=LARGEST_LIMITS['max_snapshots'],
        help='Maximum number of snapshots of a system. When it is exceeded, '
        'the oldest snapshots that can be deleted are deleted after a '
        'create. 0 means no limit.',
    ),
    cfg.IntOpt(
        'max_age',
        default=0,
        min=0,
        max=LARGEST_LIMITS['max_age'],
        help='Seconds after which a snapshot is deleted, if it can be '
        'deleted. 0 means no limit.',
    ),
    cfg.IntOpt(
        'max_bytes',
        default=0,
        min=0,
        max=LARGEST_LIMITS['max_bytes'],
        help='Maximum size in bytes of all external snapshots of a system. '
        'When it is exceeded, the oldest snapshots that can be deleted are '
        'deleted after a create. 0 means no limit.',
    ),
    cfg.StrOpt(
        'on_limit',
        default='prune',
        choices=[
            ('prune', 'delete the oldest snapshots after the create'),
            ('refuse', 'refuse the create, and list what can be deleted'),
        ],
        help='What to do with a create that exceeds max_snapshots or '
        'max_bytes. All options of this group can be set for a single '
        'system over HTTP, which overrides this file.',
    ),
    cfg.BoolOpt(
        'keep_verified',
        default=False,
        help='Whether the newest snapshot whose last verification has passed '
        'is kept, whatever the limits are.',
    ),
]

revert_opts: list[cfg.Opt] = [
    cfg.BoolOpt(
        'safety_snapshot',
        default=False,
        help='Whether to create a snapshot of the current state before a '
        'revert if the request does not specify it. If that snapshot cannot '
        'be created, the system is not reverted.',
    ),
    cfg.BoolOpt(
        'sync_guest_time',
        default=True,
        help='Whether to set the guest clock through the guest agent after '
        'a revert that restored the memory. Otherwise the clock continues '
        'from the time of the snapshot.',
    ),
]

groups_opts: list[cfg.Opt] = [
    cfg.IntOpt(
        'max_pause',
        default=0,
        min=0,
        max=3600,
        help='Seconds for which the systems of a group may be paused '
        'together while a snapshot is created. A create that may take longer '
        'is refused: its memory is written at the speed that was measured '
        'for the last one of the group, or at 100 MiB/s. 0 means no limit.',
    ),
]

backup_opts: list[cfg.Opt] = [
    cfg.Opt(
        'export_dir',
        type=_Directory(),
        help='Directory of the hypervisor host for the files of exports: an '
        'absolute path. An export needs as much space as the disks of its '
        'snapshot hold. By default, it is next to the first disk.',
    ),
    cfg.IntOpt(
        'export_hours',
        default=24,
        min=1,
        max=8784,
        help='Hours after which an export is deleted.',
    ),
    cfg.IntOpt(
        'max_exports',
        default=8,
        min=1,
        max=1000,
        help='Maximum number of exports of all systems. Further ones are '
        'refused until one is deleted or expires.',
    ),
    cfg.StrOpt(
        'import_pool',
        default='default',
        help='Name of the storage pool, a directory of the hypervisor host, '
        'for the disks of imported systems if the request does not specify '
        'one.',
    ),
    cfg.StrOpt(
        'repository',
        help='Name of the storage pool of the hypervisor host that backups '
        'are kept in: a directory or a network file system, preferably not on '
        'the disk of the systems. Without it, no backups can be made.',
    ),
    cfg.IntOpt(
        'max_incrementals',
        default=13,
        min=0,
        max=100,
        help='Number of incremental backups of a system after which the next '
        'one is full. A backup is deleted together with those that it stands '
        'on, so the retention of backups needs full ones.',
    ),
    cfg.IntOpt(
        'max_backups',
        default=0,
        min=0,
        max=10000,
        help='Number of newest backups to keep of each system; 0 keeps all. '
        'Older ones are deleted when none of those to keep stands on them.',
    ),
    cfg.IntOpt(
        'max_backup_days',
        default=0,
        min=0,
        max=36600,
        help='Days to keep backups; 0 keeps them without limit. Older ones '
        'are deleted when no younger one stands on them. The newest backup of '
        'a system is always kept.',
    ),
    cfg.IntOpt(
        'max_transfers',
        default=4,
        min=1,
        max=1000,
        help='Maximum number of bundles that each process of the web server '
        'sends or receives at the same time. Each occupies a thread, and one '
        'that is sent up to 24 MiB of memory: with few threads (see '
        'web_threads) it is one of eight at most.',
    ),
]

tasks_opts: list[cfg.Opt] = [
    cfg.IntOpt(
        'workers',
        default=4,
        min=1,
        max=64,
        help='Number of systems that are worked on at the same time.',
    ),
    cfg.IntOpt(
        'queue_limit',
        default=1000,
        min=1,
        help='Maximum number of waiting tasks. Further ones are refused.',
    ),
    cfg.IntOpt(
        'deadline',
        default=3600,
        min=1,
        help='Seconds after which a running create or backup is aborted, and '
        'after which a task that is still waiting is no longer started.',
    ),
    cfg.IntOpt(
        'keep_completed',
        default=1000,
        min=1,
        help='Number of ended tasks to keep. The oldest are removed first.',
    ),
]

events_opts: list[cfg.Opt] = [
    cfg.IntOpt(
        'delivery_retry_attempts',
        default=3,
        min=0,
        max=1000,
        help='Number of times to retry the delivery of an event before its '
        'subscription is terminated or suspended, if its retry policy says '
        'so.',
    ),
    cfg.IntOpt(
        'delivery_retry_interval',
        default=60,
        min=1,
        max=86400,
        help='Seconds between two attempts to deliver an event.',
    ),
    cfg.IntOpt(
        'max_subscriptions',
        default=64,
        min=1,
        max=1000,
        help='Maximum number of subscriptions with a destination.',
    ),
    cfg.IntOpt(
        'max_streams',
        default=16,
        min=0,
        max=1000,
        help='Maximum number of open streams of server-sent events. Each '
        'occupies a thread of the web server.',
    ),
    cfg.IntOpt(
        'keep',
        default=10000,
        min=1,
        help='Number of events to keep for streams that reconnect. Up to '
        'ten times as many are kept if a destination has not received them '
        'yet.',
    ),
    cfg.ListOpt(
        'allowed_destinations',
        default=[],
        item_type=_Place(),
        help='Comma-separated list of allowed event destinations: URLs, '
        'which also allow everything below their path, and host names or '
        'addresses, in which * matches any characters. By default, events '
        'can be sent to any http or https URL.',
    ),
    cfg.StrOpt(
        'ca_file',
        help='File with the CA certificates to verify https destinations '
        'with. By default, public certificate authorities are trusted.',
    ),
]

accounts_opts: list[cfg.Opt] = [
    cfg.StrOpt(
        'roles_file',
        help='File of the roles of the users in SUSHY_EMULATOR_AUTH_FILE: '
        'lines such as "alice:Operator", with Administrator, Operator or '
        'ReadOnly, and with ":disabled" after it for a user who cannot log '
        'in. With this option, users who are not in the file are ReadOnly, '
        'and all are if it cannot be read. Without it, all are '
        'Administrators.',
    ),
    cfg.BoolOpt(
        'writable',
        default=False,
        help='Whether Administrators can add, change and remove accounts '
        'over Redfish, and users change their own passwords. The emulator '
        'must be able to write both files, and to create files in their '
        'directories.',
    ),
    cfg.IntOpt(
        'min_password_length',
        default=12,
        min=1,
        max=72,
        help='Number of characters that a password must have if it is set '
        'over Redfish.',
    ),
    cfg.IntOpt(
        'lockout_threshold',
        default=10,
        min=0,
        help='Number of wrong passwords for an account from one address, '
        'after which that account cannot log in from there for a while. It '
        'still can from other addresses, and its sessions go on. 0 disables '
        'this.',
    ),
    cfg.IntOpt(
        'lockout_duration',
        default=300,
        min=1,
        max=86400,
        help='Number of seconds of such a lockout, and after which earlier '
        'wrong passwords no longer count.',
    ),
    cfg.ListOpt(
        'trusted_proxies',
        item_type=_Network(),
        default=[],
        help='Comma-separated list of the addresses and networks of proxies '
        'whose header X-Forwarded-For is believed: the last address in it '
        'that is not a proxy itself counts as that of the client, for '
        'lockout_threshold and in the audit log. By default, none is '
        'believed, not even one on this host; one that connects to a UNIX '
        'socket is 127.0.0.1. All clients of a proxy that is not listed '
        'have its address. Other clients must not be able to connect from '
        'a listed address.',
    ),
]

audit_opts: list[cfg.Opt] = [
    cfg.IntOpt(
        'keep',
        default=10000,
        min=1,
        max=100000,
        help='Number of entries of the audit log to keep. The oldest are '
        'removed first. Requests whose client was not authenticated have a '
        'bound of their own: they cannot displace the others.',
    ),
]

monitoring_opts: list[cfg.Opt] = [
    cfg.BoolOpt(
        'healthz',
        default=True,
        help='Whether to serve /healthz, which says whether tasks are run. It '
        'needs no authentication, and tells nothing of any system.',
    ),
    cfg.BoolOpt(
        'metrics',
        default=False,
        help='Whether to serve /metrics for Prometheus. If the emulator has a '
        'file of users, they are needed there as well, as the names of the '
        'systems are told.',
    ),
    cfg.BoolOpt(
        'json_logs',
        default=False,
        help='Whether to write all log messages of the process to standard '
        'error as JSON objects, one a line, including those that tell of '
        'each task.',
    ),
]

GROUPS: dict[str, list[cfg.Opt]] = {
    'hawkfish': hawkfish_opts,
    'snapshots': snapshots_opts,
    'retention': retention_opts,
    'revert': revert_opts,
    'groups': groups_opts,
    'backup': backup_opts,
    'tasks': tasks_opts,
    'events': events_opts,
    'accounts': accounts_opts,
    'audit': audit_opts,
    'monitoring': monitoring_opts,
}


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options by group, for oslo-config-generator."""
    return list(GROUPS.items())


def load() -> cfg.ConfigOpts:
    """
    Read the configuration file and the environment.

    ``HAWKFISH_CONFIG_FILE`` names the file; the default is
    ``/etc/hawkfish/hawkfish.conf``, if it exists.  ``OS_<GROUP>__<OPTION>``
    in the environment overrides the file.

    Raises ConfigurationInvalid if the file cannot be read or if a value is
    not valid for its option.
    """
    named = os.environ.get(FILE_VARIABLE)
    files = [named] if named else []
    if not named and os.path.exists(DEFAULT_FILE):
        files = [DEFAULT_FILE]
    conf = cfg.ConfigOpts()
    for group, opts in GROUPS.items():
        conf.register_opts(opts, group)
    try:
        conf(args=[], project='hawkfish', default_config_files=files)
        _read_all(conf)
    except (cfg.Error, ValueError) as exc:
        raise exceptions.ConfigurationInvalid(str(exc)) from exc
    return conf


def set_by_user(conf: cfg.ConfigOpts, name: str) -> str | None:
    """The value of *name* in the group hawkfish; None for a default."""
    location = conf.get_location(name, 'hawkfish')
    if location is None or not location.location.is_user_controlled:
        return None
    return str(conf.hawkfish[name])


def _read_all(conf: cfg.ConfigOpts) -> None:
    # oslo.config validates a value when it is read; a typo in the file must
    # be reported at startup, not in the middle of an operation.
    for group, opts in GROUPS.items():
        for opt in opts:
            conf[group][opt.dest]
