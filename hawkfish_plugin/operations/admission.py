# SPDX-License-Identifier: Apache-2.0
"""
Whether a create is admitted, and what it would make.

Owns what a client may ask of one, and everything that is looked at before it:
the name, the state of the system, the limits of the policy, and what the
driver says of depth and space.  The same is looked at again in its turn, as
others were queued before it.
"""

import dataclasses
import time
from collections.abc import Sequence

from hawkfish_plugin import exceptions, names
from hawkfish_plugin.catalogue import Catalogue, View, check_sound
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.operations.findings import Findings
from hawkfish_plugin.operations.options import SnapshotOptions
from hawkfish_plugin.records import Record, field
from hawkfish_plugin.retention import rules
from hawkfish_plugin.retention.policies import Policies
from hawkfish_plugin.tasks.operation import Effect

# What deleting others can help against.
_TOO_MUCH = (exceptions.ChainTooDeep, exceptions.InsufficientSpace)


@dataclasses.dataclass(frozen=True)
class CreateOptions(SnapshotOptions):
    """
    What a client asks of a create; see also ``contract.CreateRequest``.

    *name* None takes *stem* and the time.  *protect* is a snapshot that must
    not be pruned for this one.  One that is *temporary* counts for no limit,
    and nothing is pruned for it; the system may be half changed
    *before_revert*.
    """

    name: str | None = None
    _: dataclasses.KW_ONLY
    memory: bool | None = None
    stem: str = 'snapshot'
    protect: str | None = None
    consistency: str | None = None
    temporary: bool = False
    before_revert: bool = False

    def arguments(self, name: str) -> 'CreateArguments':
        """What its task keeps, with the *name* that was chosen."""
        return CreateArguments(
            name,
            memory=self.memory,
            protect=self.protect,
            consistency=self.consistency,
            temporary=self.temporary,
            before_revert=self.before_revert,
            **self.common,
        )


@dataclasses.dataclass(frozen=True)
class CreateArguments(SnapshotOptions, Record):
    """What a task keeps of CreateOptions, with the name that was chosen."""

    name: str
    _: dataclasses.KW_ONLY
    memory: bool | None = None
    protect: str | None = field(default=None, formerly='spare')
    consistency: str | None = None
    temporary: bool = False
    before_revert: bool = False

    @property
    def request(self) -> contract.CreateRequest:
        return contract.CreateRequest(
            self.name,
            self.description,
            self.memory,
            self.quiesce,
            self.consistency,
        )


@dataclasses.dataclass(frozen=True)
class Seen:
    """
    One look at what a create would make, among the *others* that there are.

    *lacking* is the error of what it needs first: depth, or space; nothing
    is forecast then.
    """

    request: contract.CreateRequest
    forecast: contract.Forecast
    lacking: exceptions.HawkFishError | None
    others: Sequence[View]

    @property
    def name(self) -> str:
        return self.request.name

    @property
    def record(self) -> contract.Snapshot:
        current = (v.name for v in self.others if v.record.current)
        return contract.Snapshot(
            self.name,
            self.request.description,
            int(time.time()),
            None,
            self.forecast.memory,
            self.forecast.external,
            next(current, None),
            current=True,
        )

    @property
    def is_changing(self) -> bool:
        """Whether others delete, or make room with what they make."""
        return any(
            view.effect in (Effect.DELETING, Effect.CREATING)
            for view in self.others
        )


class Admission:
    """What stands in the way of a create, at its request and in its turn."""

    def __init__(
        self,
        driver: contract.Driver,
        catalogue: Catalogue,
        policies: Policies,
        findings: Findings,
    ) -> None:
        self._driver = driver
        self._catalogue = catalogue
        self._policies = policies
        self._findings = findings

    # At the request -------------------------------------------------------

    def check(self, system: contract.System, options: CreateOptions) -> Seen:
        """
        What a create would make, for which nothing is deleted.

        Raises everything that is known beforehand to stand in the way.
        """
        seen = self.look(system, options)
        if seen.lacking:
            raise seen.lacking
        return seen

    def look(self, system: contract.System, options: CreateOptions) -> Seen:
        """The same, where deletes may help against what is lacking."""
        if options.name is not None:
            names.check(options.name)
        self._check_whole(system, options)
        others = self._catalogue.list(system)
        check_sound(system, [view.record for view in others])
        taken = {view.name for view in others}
        if options.name in taken:
            raise exceptions.SnapshotExists(options.name)
        name = options.name or names.of_now(options.stem, taken)
        request = options.arguments(name).request
        forecast, lacking = self._forecast(system, request)
        if not options.temporary:
            self._check_limit(system, request, forecast)
        return Seen(request, forecast, lacking, others)

    # In its turn ----------------------------------------------------------

    def check_again(
        self, system: contract.System, arguments: CreateArguments
    ) -> None:
        """Raise what no delete helps against."""
        self._check_whole(system, arguments)
        if not arguments.temporary:
            self._check_limit(system, arguments.request)

    def look_again(
        self, system: contract.System, arguments: CreateArguments
    ) -> Seen:
        """What a create would make now."""
        forecast, lacking = self._forecast(system, arguments.request)
        others = [
            view
            for view in self._catalogue.list(system)
            if view.name != arguments.name
        ]
        return Seen(arguments.request, forecast, lacking, others)

    # What is looked at ----------------------------------------------------

    def _check_whole(
        self,
        system: contract.System,
        options: CreateOptions | CreateArguments,
    ) -> None:
        """Raise where the system is half changed."""
        # A revert mends it; what there is may be kept before.
        if not options.before_revert and options.protect is None:
            self._catalogue.check_whole(system)

    def _forecast(
        self, system: contract.System, request: contract.CreateRequest
    ) -> tuple[contract.Forecast, exceptions.HawkFishError | None]:
        """What would be made, and the error of which deletes can help."""
        lacking = None
        try:
            with self._findings.telling_at_request(system):
                return self._driver.check_create(system.uuid, request), None
        except exceptions.HawkFishError as exc:
            if not all(map(is_too_much, exc.parts)):
                raise
            lacking = exc
        return contract.Forecast(True, bool(request.memory)), lacking

    def _check_limit(
        self,
        system: contract.System,
        request: contract.CreateRequest,
        forecast: contract.Forecast | None = None,
    ) -> None:
        """Raise where the policy refuses one more snapshot."""
        limits = self._policies.get(system.uuid)
        if limits.on_limit != rules.REFUSE:
            return
        if forecast is None:
            forecast = self._driver.check_create(system.uuid, request)
        subjects = [
            s
            for s in self._catalogue.subjects(
                system, measured=bool(limits.size)
            )
            if s.name != request.name
        ]
        limit = rules.exceeded(subjects, limits, forecast.size)
        if limit:
            free = rules.deletable(subjects, self._driver.referrers)
            raise exceptions.Refused(
                [
                    exceptions.CreateLimitReachedForResource(),
                    exceptions.SnapshotLimitReached(
                        system.name, *limit, ', '.join(free) or 'none'
                    ),
                ]
            )


def is_too_much(error: exceptions.HawkFishError) -> bool:
    """Whether deleting others can help."""
    return isinstance(error, _TOO_MUCH)
