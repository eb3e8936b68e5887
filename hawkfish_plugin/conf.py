# SPDX-License-Identifier: Apache-2.0
"""
Every option of the plugin, with its help.

Owns the names, defaults and limits of the options and where they are read
from.  Leaves their use to the modules that name them.  The emulator owns the
command line, so the options live in a private ``ConfigOpts`` that is never
shown ``sys.argv``.
"""

import os
import pathlib
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
        # Asking for the port raises ValueError where it is none.
        if '://' in text and not (
            parts.scheme in ('http', 'https')
            and parts.hostname
            and parts.port != 0
        ):
            raise ValueError(f'{text} is no http or https URL')
        return text


hawkfish_opts: list[cfg.Opt] = [
    cfg.StrOpt(
        'state_dir',
        default=_default_state_dir(),
        sample_default='/var/lib/hawkfish',
        help='Folder of the state database and the locks, one sub-folder for '
        'each hypervisor. Emulators that serve the same hypervisor must '
        'share it. Readable by its owner only. For an emulator that does '
        'not run as root the default is ~/.local/state/hawkfish.',
    ),
    cfg.StrOpt(
        'driver',
        help='Name of the driver (an entry point of the group '
        'hawkfish.drivers). By default it follows the emulator: fake for '
        '"--fake", libvirt otherwise.',
    ),
]

snapshots_opts: list[cfg.Opt] = [
    cfg.StrOpt(
        'type',
        default='auto',
        choices=[
            (
                'auto',
                'external where this libvirt can revert and delete '
                'them, internal elsewhere',
            ),
            ('external', 'a new file for each disk, and one for the memory'),
            ('internal', 'inside the qcow2 files of the system'),
        ],
        help='Where the data of a snapshot is kept. A system that already '
        'has snapshots of one kind gets no other kind: mixing them has '
        'lost data.',
    ),
    cfg.BoolOpt(
        'include_memory',
        default=True,
        help='Save the memory of a running system where the request does '
        'not say.',
    ),
    cfg.StrOpt(
        'quiesce',
        default='preferred',
        choices=[
            ('preferred', 'go on with a warning where it is not possible'),
            ('required', 'fail where it is not possible'),
            ('never', 'do not ask the guest agent'),
        ],
        help='Whether the file systems of a running system are quiesced '
        'through the QEMU guest agent, where the request does not say: '
        'frozen while its disks are captured, or flushed right before its '
        'memory is saved.',
    ),
    cfg.IntOpt(
        'quiesce_timeout',
        default=5,
        min=1,
        max=300,
        help='Seconds that the guest agent has to answer each command.',
    ),
    cfg.IntOpt(
        'space_headroom',
        default=256,
        min=0,
        help='MiB that must be free beside the disks of a system for a '
        'snapshot, apart from its memory: the new files for its disks grow '
        'with everything that the system writes from then on.',
    ),
    cfg.IntOpt(
        'max_chain_depth',
        default=0,
        min=0,
        max=200,
        help='How many files may lie on top of each other below one disk. '
        '0 is the depth that the libvirt in use is known to start again: '
        '20 from libvirt 10.8 up to 12.0, else 150.',
    ),
]

# Above these a limit is a mistake: a hundred years, an exbibyte.
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
        help='How many snapshots a system keeps; after a create the oldest '
        'that may go are deleted. 0 is no limit.',
    ),
    cfg.IntOpt(
        'max_age',
        default=0,
        min=0,
        max=LARGEST_LIMITS['max_age'],
        help='Seconds after which a snapshot is deleted, if it may go. 0 is '
        'no limit.',
    ),
    cfg.IntOpt(
        'max_bytes',
        default=0,
        min=0,
        max=LARGEST_LIMITS['max_bytes'],
        help='How many bytes the external snapshots of a system may take '
        'together; after a create the oldest that may go are deleted. 0 is '
        'no limit.',
    ),
    cfg.StrOpt(
        'on_limit',
        default='prune',
        choices=[
            ('prune', 'delete the oldest that may go, after the create'),
            ('refuse', 'refuse the create, and name what can be deleted'),
        ],
        help='What happens to a create beyond max_snapshots or max_bytes. '
        'All of these limits can be set for a single system over HTTP, '
        'which beats this file.',
    ),
]

revert_opts: list[cfg.Opt] = [
    cfg.BoolOpt(
        'safety_snapshot',
        default=False,
        help='Create a snapshot of the present state before a revert, where '
        'the request does not say. Where it cannot be made, the system is '
        'not reverted.',
    ),
    cfg.BoolOpt(
        'sync_guest_time',
        default=True,
        help="Set the guest's clock through the guest agent after a revert "
        'that brought its memory back; it would go on from the time of the '
        'snapshot.',
    ),
]

tasks_opts: list[cfg.Opt] = [
    cfg.IntOpt(
        'workers',
        default=4,
        min=1,
        max=64,
        help='How many systems are worked on at the same time.',
    ),
    cfg.IntOpt(
        'queue_limit',
        default=1000,
        min=1,
        help='How many tasks may wait; one more is refused.',
    ),
    cfg.IntOpt(
        'deadline',
        default=3600,
        min=1,
        help='Seconds after which a running create is aborted, and after '
        'which a task that still waits is no longer begun.',
    ),
    cfg.IntOpt(
        'keep_completed',
        default=1000,
        min=1,
        help='How many ended tasks are remembered; the oldest go first.',
    ),
]

events_opts: list[cfg.Opt] = [
    cfg.IntOpt(
        'delivery_retry_attempts',
        default=3,
        min=0,
        max=1000,
        help='How often the delivery of an event is tried again before its '
        'subscription is ended or suspended, where the subscription asks '
        'for that.',
    ),
    cfg.IntOpt(
        'delivery_retry_interval',
        default=60,
        min=1,
        max=86400,
        help='Seconds between two tries to deliver an event.',
    ),
    cfg.IntOpt(
        'max_subscriptions',
        default=64,
        min=1,
        max=1000,
        help='How many subscriptions with a destination there may be.',
    ),
    cfg.IntOpt(
        'max_streams',
        default=16,
        min=0,
        max=1000,
        help='How many streams of server-sent events may be open. Each takes '
        'a thread of the web server.',
    ),
    cfg.IntOpt(
        'keep',
        default=10000,
        min=1,
        help='How many events are remembered, for streams that come back. '
        'Of what a destination has not received yet, up to ten times as '
        'many are kept.',
    ),
    cfg.ListOpt(
        'allowed_destinations',
        default=[],
        item_type=_Place(),
        help='Where events may be sent, separated by commas: URLs, which '
        'allow what lies below their path, and names or addresses of hosts, '
        'in which * stands for any characters. By default events may be '
        'sent to any http or https URL.',
    ),
    cfg.StrOpt(
        'ca_file',
        help='File with the certificates that https destinations are '
        'verified with; by default those of public authorities.',
    ),
]

GROUPS: dict[str, list[cfg.Opt]] = {
    'hawkfish': hawkfish_opts,
    'snapshots': snapshots_opts,
    'retention': retention_opts,
    'revert': revert_opts,
    'tasks': tasks_opts,
    'events': events_opts,
}


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Every group with its options, for oslo-config-generator."""
    return list(GROUPS.items())


def load() -> cfg.ConfigOpts:
    """
    Read the configuration file and the environment.

    The file is the one that ``HAWKFISH_CONFIG_FILE`` names, else
    ``/etc/hawkfish/hawkfish.conf`` where it exists.  ``OS_<GROUP>__<OPTION>``
    in the environment beats both.

    Raises ConfigurationInvalid where the file cannot be read or a value does
    not fit its option.
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


def _read_all(conf: cfg.ConfigOpts) -> None:
    # oslo.config looks at a value when it is asked for; a typing error in
    # the file has to show at the start, not in the middle of an operation.
    for group, opts in GROUPS.items():
        for opt in opts:
            conf[group][opt.dest]
