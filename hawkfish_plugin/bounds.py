# SPDX-License-Identifier: Apache-2.0
"""
The bounds of what a client can make grow.

Owns their values and what happens at each; the operations page lists ``ALL``.
Those that an operator may have to change are options (``conf``), and listed
here by their names.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Bound:
    """Of *what* there may be *most*, as text; *then* is what happens."""

    what: str
    most: str
    then: str


ALL: list[Bound] = []


def _bound(what: str, most: int, unit: str, then: str) -> int:
    ALL.append(Bound(what, f'{most} {unit}'.strip(), then))
    return most


def _option(what: str, option: str, then: str) -> None:
    ALL.append(Bound(what, option, then))


# Virtual media ------------------------------------------------------------

IMAGE_BYTES = _bound(
    'Size of an image that is inserted as virtual media by its URL',
    64 * 2**30,
    'bytes',
    '400, and nothing of it stays',
)
IMAGE_SECONDS = _bound(
    'Time in which such an image is there',
    3600,
    'seconds',
    '504, and nothing of it stays',
)

# Connections and requests -------------------------------------------------

CONNECTIONS = _bound(
    'Connections to an emulator that was started as sushy-emulator',
    512,
    'or half of the descriptors that the process may open',
    'the one whose request or body has been awaited longest is closed; if all '
    'of them are being served, a further one gets 503',
)
REQUEST_SECONDS = _bound(
    'Time until a request has arrived',
    30,
    'seconds, then the same for its body and for what follows it',
    'the connection is closed',
)
SEND_SECONDS = _bound(
    'Time in which a client takes an answer, or an event of a stream',
    20,
    'seconds, and one more for each 64 KiB',
    'the connection is closed',
)
_option(
    'Requests that wait, per process of a server with few threads',
    'of eight web_threads, seven: three for streams, two for locks of '
    'systems, one for a download, one for a bundle, one for one with '
    'Prefer: wait, and four for others that decide about the same system',
    'EventSubscriptionLimitExceeded, SystemLocked, TooManyDownloads, or '
    'TooManyTransfers; for a decision, after two seconds; with Prefer: wait, '
    '202 at once',
)
PREFER_SECONDS = _bound(
    'Time that a request with Prefer: wait waits for its task',
    # Below the 30 seconds after which gunicorn takes a worker for dead.
    20,
    'seconds',
    '202',
)
PREFERRING_REQUESTS = _bound(
    'Requests with Prefer: wait that wait at the same time, per process',
    64,
    '',
    '202 at once',
)
LOCK_SECONDS = _bound(
    'Time that a request waits for a system or a group that is being changed',
    15,
    'seconds',
    'SystemLocked or GroupLocked',
)
BODY_BYTES = _bound(
    'Body of a request to the plugin', 65536, 'bytes', 'RequestBodyTooLarge'
)
ANY_BODY_BYTES = _bound(
    'Body of a request to the emulator', 1048576, 'bytes', '413'
)
JSON_DEPTH = _bound(
    'Levels of objects and lists in a body', 64, '', 'MalformedJSON'
)
PATH_CHARACTERS = _bound(
    'Path whose methods are remembered',
    512,
    'characters',
    'it is looked at each time',
)

# Snapshots and groups -----------------------------------------------------

_option(
    'Snapshots of a system',
    '[retention] max_snapshots, where 0 is no limit',
    'the oldest are deleted, or SnapshotLimitReached',
)
_option(
    'Files in the backing chain of a disk',
    '[snapshots] max_chain_depth, where 0 is what libvirt can start',
    'ChainTooDeep',
)
AGGREGATES = _bound('Groups', 1000, '', 'CreateLimitReachedForResource')
ELEMENTS = _bound('Systems of a group', 500, '', 'ArraySizeTooLong')
SCHEDULES = _bound('Schedules', 256, '', 'CreateLimitReachedForResource')
SCHEDULE_SECONDS = _bound(
    'Time between two runs of a schedule, at the least',
    60,
    'seconds',
    'PropertyValueOutOfRange',
)
_option(
    'Notes of group snapshots',
    'as many as the systems of the group have snapshots for',
    'what no system has any more is forgotten by the next create in the group',
)
_option(
    'Threads of operations on groups',
    'one for each system, of as many groups at once as [tasks] workers',
    'where there is no thread left, a create or revert fails and is undone',
)
_option(
    'Pause of the systems of a group',
    '[groups] max_pause seconds, where 0 is no limit',
    'GroupPauseTooLong',
)
MEETING_SECONDS = _bound(
    'Time that the systems of a group wait for each other before the pause',
    120,
    'seconds',
    'MeetingMissed: none is captured',
)
BATCH_SECONDS = _bound(
    'Time between two batches of a reset of a group',
    3600,
    'seconds',
    'ActionParameterValueFormatError; no other task waits for it',
)

# The database -------------------------------------------------------------

DATABASE_CONNECTIONS = _bound(
    'Connections of a process to the database',
    16,
    '',
    'requests wait for 10 seconds, then StateUnavailable',
)
IDLE_DATABASE_CONNECTIONS = _bound(
    'Of these, kept while they are not used', 8, '', 'the others are closed'
)
_option('Waiting tasks', '[tasks] queue_limit', 'QueueFull')
_option(
    'Ended tasks',
    '[tasks] keep_completed',
    'those that ended first are removed',
)
_option(
    'Threads of sub-tasks',
    '[tasks] workers, times the systems of a group',
    'where the system has no thread left, sub-tasks share one',
)
PAYLOAD_CHARACTERS = _bound(
    'Body of its request that a task keeps',
    2048,
    'characters',
    'the rest is cut off',
)

# Bundles ------------------------------------------------------------------

_option('Exports', '[backup] max_exports', 'ExportLimitReached')
_option(
    'Bundles that a process sends or receives at the same time',
    '[backup] max_transfers',
    'TooManyTransfers, with Retry-After',
)
_option(
    'Time of each MiB of a bundle that is received',
    '30 seconds',
    'the connection is closed, and what was received is removed',
)

# Events -------------------------------------------------------------------

_option(
    'Events',
    '[events] keep, ten times as many for a destination that is behind',
    'the oldest are removed, and a subscriber gets EventBufferExceeded',
)
EVENTS_BYTES = _bound(
    'Size of all events',
    64 * 2**20,
    'bytes',
    'the oldest are removed, and a subscriber gets EventBufferExceeded',
)
TEST_EVENTS = _bound(
    'Test events', 100, '', 'the oldest of them are removed, before any other'
)
TEST_EVENT_BYTES = _bound('Test event', 8192, 'bytes', 'RequestBodyTooLarge')
_option(
    'Subscriptions, and pushes at the same time',
    '[events] max_subscriptions',
    'EventSubscriptionLimitExceeded',
)
_option(
    'Streams of all processes',
    '[events] max_streams',
    'EventSubscriptionLimitExceeded',
)
PUSH_SECONDS = _bound(
    'Time of one push, with the lookup of the name of its destination',
    15,
    'seconds',
    'it has failed, and is repeated',
)
LOOKUPS = _bound(
    'Names of destinations that are looked up at the same time',
    64,
    '',
    'pushes to others have failed, and are repeated',
)

# The audit log ------------------------------------------------------------

_option('Entries of the audit log', '[audit] keep', 'the oldest are removed')
STRANGERS = _bound(
    'Entries of requests whose client was not authenticated, may not do that, '
    'or is ReadOnly',
    1000,
    'beside these',
    'the oldest of them are removed',
)
AUDIT_PAGE = _bound(
    'Entries of the audit log in one response',
    500,
    '',
    'it has a link to the next page',
)
AUDIT_SECONDS = _bound(
    'Time that a request waits to be noted in the audit log',
    2,
    'seconds',
    'it is noted in the log of the process instead',
)
URI_CHARACTERS = _bound(
    'Path of a request in the audit log',
    512,
    'characters',
    'the rest is cut off',
)

# Sessions and the log -----------------------------------------------------

SESSIONS = _bound(
    'Login sessions',
    128,
    '',
    'of those of the user who has most of them, the one that has not been '
    'used longest ends',
)
PASSWORD_CHECKS = _bound(
    'Passwords that a process checks or takes at the same time',
    2,
    '',
    'others wait',
)
PASSWORD_CHECK_SECONDS = _bound(
    'Time that a check of a password waits for others', 5, 'seconds', '503'
)
LOGIN_FAILURES = _bound(
    'Pairs of an account and an address with failed logins',
    4096,
    '',
    'those that failed first are forgotten',
)
ACCOUNTS = _bound(
    'Accounts, as far as they are created by requests',
    1000,
    '',
    'CreateLimitReachedForResource',
)
ACCOUNTS_SECONDS = _bound(
    'Time that a change of an account waits for another one',
    5,
    'seconds',
    'AccountsNotChanged',
)
LOG_CHARACTERS = _bound(
    'What a client chose, in a line of the log',
    200,
    'characters',
    'the rest is cut off',
)
