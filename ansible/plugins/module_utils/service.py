# SPDX-License-Identifier: Apache-2.0
"""
What the modules have in common: the service, its errors, and the result.

Owns how a module begins and ends; what is specific to a resource is in its
module.
"""

import contextlib
import datetime
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from ansible.module_utils.basic import (
    AnsibleModule,
    env_fallback,
    missing_required_lib,
)

try:
    from sushy import exceptions

    from hawkfish_plugin import client
except ImportError:
    MISSING = traceback.format_exc()
else:
    MISSING = ''

# States in which something is still becoming what it will be, or nothing.
PASSING = ('Creating', 'Deleting')
LOOK_SECONDS = 0.5

SPEC: dict[str, Any] = {
    'url': {'fallback': (env_fallback, ['HAWKFISH_URL'])},
    'username': {'fallback': (env_fallback, ['HAWKFISH_USERNAME'])},
    'password': {
        'no_log': True,
        'fallback': (env_fallback, ['HAWKFISH_PASSWORD']),
    },
    'ca_file': {'type': 'path'},
    'validate_certs': {'type': 'bool', 'default': True},
    'timeout': {'type': 'int', 'default': 3600},
}


class Run:
    """One run of a module: its parameters, the service, and what changes."""

    def __init__(self, **kwargs: Any) -> None:
        """Begin; *kwargs* are those of AnsibleModule, but our options."""
        kwargs['argument_spec'] = {**SPEC, **kwargs['argument_spec']}
        self.module = AnsibleModule(supports_check_mode=True, **kwargs)
        if MISSING:
            self.module.fail_json(
                missing_required_lib('hawkfish-snapshots'), exception=MISSING
            )
        self.params: dict[str, Any] = self.module.params
        self.state: str = self.params['state']
        if not self.params['url']:
            self.module.fail_json('url is missing, and so is HAWKFISH_URL')
        verify = self.params['validate_certs'] and (
            self.params['ca_file'] or True
        )
        self.service = client.HawkFish(
            self.params['url'],
            self.params['username'],
            self.params['password'],
            verify,
        )

    @property
    def changes(self) -> bool:
        """Whether changes are to be made, and not only told."""
        return not self.module.check_mode

    def wait(self, handle: Any) -> Any:
        """The result of the operation of *handle*."""
        return handle.wait(self.params['timeout'])

    def settled(self, find: Callable[[], Any], state: str) -> Any:
        """
        What *find* finds, once it is neither being created nor deleted.

        *state* is the property that tells. Check mode waits for nothing:
        there, what is being deleted is gone.
        """
        deadline = time.monotonic() + self.params['timeout']
        while (found := find()) and found.json[state] in PASSING:
            if not self.changes:
                return None if found.json[state] == 'Deleting' else found
            if time.monotonic() > deadline:
                self.module.fail_json(
                    f'{found!r} is still in that state after '
                    f'{self.params["timeout"]} seconds'
                )
            time.sleep(LOOK_SECONDS)
        return found

    def moment(self, name: str) -> datetime.datetime | None:
        """The parameter *name*, a time with its zone, if it is given."""
        text = self.params[name]
        if text is None:
            return None
        with contextlib.suppress(ValueError):
            found = datetime.datetime.fromisoformat(text)
            if found.tzinfo:
                return found
        self.module.fail_json(
            f'{name} is not a time with a time zone, such as '
            f'2030-01-31T12:00:00Z: {text}'
        )

    def given(self, **names: str) -> dict[str, Any]:
        """Of *names*, parameters by their Redfish names, those with values."""
        return {
            redfish: self.params[name]
            for redfish, name in names.items()
            if self.params[name] is not None
        }

    def end(self, before: Any, after: Any, **result: Any) -> None:
        """End with the difference of *before* and *after*."""
        self.module.exit_json(
            changed=before != after,
            diff={'before': before, 'after': after},
            **result,
        )

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Let the module fail with what the service says."""
        try:
            yield
        except exceptions.SushyError as exc:
            self.module.fail_json(
                ' '.join(client.messages(exc)) or str(exc),
                exception=traceback.format_exc(),
            )


def stamp(when: datetime.datetime | None) -> str | None:
    """*when* as text that is the same for the same second; None stays."""
    if when is None:
        return None
    return f'{when.astimezone(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}'


def existing(read: Any) -> Any:
    """What *read* finds; None where there is no such thing."""
    try:
        return read()
    except exceptions.ResourceNotFoundError:
        return None
