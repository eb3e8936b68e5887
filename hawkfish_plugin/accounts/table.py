# SPDX-License-Identifier: Apache-2.0
"""
The accounts of users.

Owns what may be done to them: they are the users of the emulator's own file,
with what ours says of each.  Both files are changed under one lock, and so
that a process that dies in between leaves nobody with a higher role than was
asked for.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

from oslo_config import cfg

from hawkfish_plugin import bounds, exceptions
from hawkfish_plugin.accounts import files, roles, users
from hawkfish_plugin.accounts.roles import Standing


@dataclasses.dataclass(frozen=True)
class Account:
    """A user; *entry* is the line of the file of users."""

    name: str
    role: str
    enabled: bool
    entry: str


@dataclasses.dataclass(frozen=True)
class Changes:
    """What is to be another than it was; None stays."""

    password: str | None = None
    role: str | None = None
    enabled: bool | None = None


Check = Callable[[Account], None]

# The class below has a method of that name.
Found = list[Account]


class Accounts:
    """
    The accounts in the files that *conf* and the emulator name.

    *file* is in each method the file of users that the emulator was given.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf.accounts

    @property
    def _roles(self) -> str | None:
        """The file of roles, if there is one."""
        return self._conf.roles_file or None

    @property
    def are_writable(self) -> bool:
        return bool(self._conf.writable)

    def list(self, file: str) -> Found:
        """All accounts, in the order of the file of users."""
        return self._of(users.entries(file))

    def find(self, file: str, name: str) -> Account | None:
        for account in self.list(file):
            if account.name == name:
                return account
        return None

    def standing(self, name: str) -> Standing:
        """What *name* is; of nobody who has an account as well."""
        return roles.standing(self._roles, name)

    def known(self, file: str, name: str) -> Standing | None:
        """
        What *name* is for sure; None where there is no such account.

        Raises AccountsUnknown where a file cannot be read, or has nobody: it
        may be written at this moment.
        """
        try:
            found = users.of_lines(users.text(file))
            if not found:
                raise exceptions.AccountsUnknown(file, 'nobody is in it')
            if self._roles is None:
                standing = Standing(roles.ADMINISTRATOR)
            else:
                file = self._roles
                lines = roles.of_lines(roles.read(file))
                if not lines:
                    raise exceptions.AccountsUnknown(file, 'nobody is in it')
                standing = lines.get(name, Standing())
        except (OSError, UnicodeDecodeError) as exc:
            raise exceptions.AccountsUnknown(file, exc) from exc
        return standing if name in found else None

    def add(self, file: str, name: str, changes: Changes) -> Account:
        """
        Make an account that is all that *changes* say.

        Raises AccountExists, CreateLimitReachedForResource, RolesNotKept,
        AccountsNotChanged and TooManyChecks.
        """
        standing = _changed(Standing(), changes)
        self._check_kept(standing)
        entry = _entry(file, name, changes.password or '')
        with self._changing(file) as text:
            others = users.of_lines(text)
            if name in others:
                raise exceptions.AccountExists(name)
            if len(others) >= bounds.ACCOUNTS:
                raise exceptions.CreateLimitReachedForResource()
            with _all_or_nothing() as done:
                # Until the last step, a role of the past would be in force.
                done.append(self._note(name, None))
                done.append(_write(file, text, name, entry))
                done.append(self._note(name, standing))
        return self._found(file, name)

    def change(
        self, file: str, name: str, changes: Changes, check: Check
    ) -> Account:
        """
        Change an account; *check* may refuse by what nobody changes any more.

        Raises AccountNotFound, LastAdministrator, RolesNotKept,
        AccountsNotChanged and TooManyChecks.
        """
        entry = None
        if changes.password is not None:
            # What is refused anyway computes nothing.
            check(self._one(users.entries(file), name))
            entry = _entry(file, name, changes.password)
        with self._changing(file) as text:
            others = users.of_lines(text)
            account = self._one(others, name)
            check(account)
            standing = Standing(account.role, account.enabled)
            changed = _changed(standing, changes)
            self._keep_one(others, name, changed)
            self._check_kept(changed)
            with _all_or_nothing() as done:
                if changed != standing:
                    done.append(self._note(name, changed))
                if entry is not None:
                    done.append(_write(file, text, name, entry))
        return self._found(file, name)

    def remove(self, file: str, name: str, check: Check) -> None:
        """As ``change``, but let there be no such account any more."""
        with self._changing(file) as text:
            others = users.of_lines(text)
            check(self._one(others, name))
            self._keep_one(others, name, None)
            with _all_or_nothing() as done:
                done.append(_write(file, text, name, None))
                done.append(self._note(name, None))

    @contextlib.contextmanager
    def _changing(self, file: str) -> Iterator[str]:
        with files.locked(file):
            yield files.read(file)

    def _of(self, entries: dict[str, str]) -> Found:
        known = None
        if self._roles is not None:
            known = roles.of_lines(roles.text(self._roles))
        return [
            Account(name, standing.role, standing.enabled, entry)
            for name, entry in entries.items()
            for standing in [
                Standing(roles.ADMINISTRATOR)
                if known is None
                else known.get(name, Standing())
            ]
        ]

    def _one(self, entries: dict[str, str], name: str) -> Account:
        for account in self._of(entries):
            if account.name == name:
                return account
        raise exceptions.AccountNotFound(name)

    def _found(self, file: str, name: str) -> Account:
        found = self.find(file, name)
        if found is None:
            raise exceptions.AccountNotFound(name)
        return found

    def _keep_one(
        self, entries: dict[str, str], name: str, changed: Standing | None
    ) -> None:
        """Raise LastAdministrator where nobody could manage accounts."""
        last = Standing(roles.ADMINISTRATOR)
        left = {
            account.name: Standing(account.role, account.enabled)
            for account in self._of(entries)
        }
        if left.pop(name) == last and last not in (changed, *left.values()):
            raise exceptions.LastAdministrator(name)

    def _check_kept(self, standing: Standing) -> None:
        """Raise RolesNotKept where no file could say that one is so."""
        if self._roles is None and standing != Standing(roles.ADMINISTRATOR):
            raise exceptions.RolesNotKept()

    def _note(self, name: str, standing: Standing | None) -> 'Undo':
        """Let the file of roles say that *name* is so; None: nobody."""
        file = self._roles
        if file is None:
            return lambda: None
        line = None if standing is None else roles.line(name, standing)
        return _write(file, files.read(file), name, line)


Undo = Callable[[], None]


def _entry(file: str, name: str, password: str) -> str:
    # It takes long on purpose, so nobody is to wait for it.
    return users.entry(name, password, users.entries(file))


def _write(file: str, text: str, name: str, line: str | None) -> Undo:
    """Let *file*, which holds *text*, have *line* of *name*."""
    after = files.with_line(text, name, line)
    files.replace(file, text, after)
    return lambda: files.replace(file, after, text)


@contextlib.contextmanager
def _all_or_nothing() -> Iterator[list[Undo]]:
    """Undo what was done if the block fails, the last of it first."""
    done: list[Undo] = []
    try:
        yield done
    except BaseException:
        for undo in reversed(done):
            undo()
        raise


def _changed(standing: Standing, changes: Changes) -> Standing:
    role, enabled = changes.role, changes.enabled
    return Standing(
        standing.role if role is None else role,
        standing.enabled if enabled is None else enabled,
    )
