# SPDX-License-Identifier: Apache-2.0
"""What every driver promises of bundles, if it makes any."""

import hashlib
import uuid

import pytest

from hawkfish_plugin import exceptions
from hawkfish_plugin.bundles import manifest
from hawkfish_plugin.drivers.exporting import ExportRequest, Staged
from hawkfish_plugin.drivers.importing import (
    ImportRequest,
    Imports,
    ImportsOver,
    OverRequest,
)
from tests.contract.context import Context
from tests.contract.interrupting import deaths, settle
from tests.contract.outcomes import outcome


def content(subject, staged: Staged, name: str) -> bytes:
    """The bytes of a staged file, as its member describes it."""
    for member in staged.members:
        if member.name == name:
            file = name.rpartition('/')[2]
            data = subject.driver.read_staged(
                staged.folder, file, 0, member.size
            )
            assert member.sha256 in (None, hashlib.sha256(data).hexdigest())
            return data
    raise AssertionError(name)


class Bundling:
    """Snapshots that go out, and systems that come in."""

    @pytest.fixture(autouse=True)
    def _makes_bundles(self, request):
        # Also a driver of releases that have no external snapshots.
        words = 'bundle', 'import'
        needs = any(word in request.node.name for word in words)
        if needs and not request.getfixturevalue('subject').has_bundles:
            pytest.skip('there are no bundles here')

    def test_a_bundle_outlives_its_snapshot(self, subject):
        """Its files are whole, and can be read in any part."""
        subject.create('a')
        request = ExportRequest('a')

        staged = subject.driver.export(subject.uuid, request, Context())
        subject.delete('a')

        for member in staged.members:
            data = content(subject, staged, member.name)
            file = member.name.rpartition('/')[2]
            part = subject.driver.read_staged(staged.folder, file, 3, 9)
            assert part == data[3:12]
            with pytest.raises(exceptions.ExportFileMissing):
                subject.driver.read_staged(staged.folder, file, 9, len(data))
        for _ in range(2):
            subject.driver.remove_staged(staged.folder)
        with pytest.raises(exceptions.ExportFileMissing):
            content(subject, staged, 'domain.xml')

    def test_no_bundle_of_no_snapshot(self, subject):
        """It is refused, before and in the operation."""
        request = ExportRequest('nothing')

        for call in (
            lambda: subject.driver.check_export(subject.uuid, request),
            lambda: subject.driver.export(subject.uuid, request, Context()),
        ):
            with pytest.raises(exceptions.SnapshotNotFound):
                call()

    def test_a_cancelled_bundle_leaves_nothing(self, subject):
        """It says so by its name."""
        subject.create('a')
        context = Context(cancelled=True)

        error = outcome(
            lambda c: subject.driver.export(
                subject.uuid, ExportRequest('a'), c
            ),
            context,
        )

        # One that is so quick that it cannot be cancelled is whole.
        if isinstance(error, Staged):
            subject.driver.remove_staged(error.folder)
        else:
            assert isinstance(error, exceptions.OperationCancelled)
            assert error.args == ('export',)

    def test_an_interrupted_bundle_is_settled(self, subject):
        """At whichever step: it is staged, or nothing of it is there."""
        subject.create('a')
        request, made = ExportRequest('a'), []

        def export(context):
            made.append(subject.driver.export(subject.uuid, request, context))

        for context in deaths(export):
            if not context.last_step:
                continue
            end = settle(
                lambda c: subject.driver.settle_export(
                    subject.uuid, request, c
                ),
                context,
            )
            if isinstance(end, exceptions.OperationInterrupted):
                assert end.args[0] == 'export'
            else:
                made.append(end)

        assert made
        for staged in made:
            assert content(subject, staged, 'domain.xml')
            subject.driver.remove_staged(staged.folder)

    def test_an_interrupted_import_of_a_bundle_is_settled(self, subject):
        """At whichever step: the system is there, or nothing of it."""
        driver = subject.driver
        assert isinstance(driver, Imports)
        subject.create('a')
        staged = driver.export(subject.uuid, ExportRequest('a'), Context())
        definition = content(subject, staged, 'domain.xml').decode()
        members = [
            one
            for one in staged.members
            if one.role in (manifest.DOMAIN, manifest.DISK)
        ]
        before = set(driver.power_states())
        requests = []

        def receive():
            name = f'imported-{len(requests)}'
            request = ImportRequest(str(uuid.uuid4()), name, definition)
            files = driver.plan_import(request, members)
            for member in members:
                if member.name in files:
                    data = content(subject, staged, member.name)
                    driver.make_file(files[member.name], len(data))
                    driver.write_file(files[member.name], 0, data)
                    driver.check_file(files[member.name], member)
            requests.append((request, files, members))

        def import_system(context):
            receive()
            driver.import_system(*requests[-1], context)

        for context in deaths(import_system):
            if not context.last_step:
                driver.remove_files(list(requests[-1][1].values()))
                continue
            request, files, _ = requests[-1]
            end = settle(
                lambda c: driver.settle_import(*requests[-1], c), context
            )
            there = {s.uuid for s in driver.power_states()}
            if isinstance(end, exceptions.OperationInterrupted):
                assert end.args[0] == 'import'
                assert request.uuid not in there
            else:
                assert request.uuid in there
                subject.undefine(request.uuid)
                driver.remove_files(list(files.values()))

        assert requests[-1][0].uuid in {s.uuid for s in driver.power_states()}
        subject.undefine(requests[-1][0].uuid)
        driver.remove_files(list(requests[-1][1].values()))
        driver.remove_staged(staged.folder)
        assert set(driver.power_states()) == before

    def test_what_was_imported_can_be_undone(self, subject):
        """As often as one likes; a system of the same identity stays."""
        driver = subject.driver
        subject.create('a')
        staged = driver.export(subject.uuid, ExportRequest('a'), Context())
        definition = content(subject, staged, 'domain.xml').decode()
        request = ImportRequest(subject.uuid, 'imported-x', definition)
        driver.remove_staged(staged.folder)
        before = set(driver.power_states())

        driver.undo_import(request, {}, Context())

        assert set(driver.power_states()) == before

    def test_an_interrupted_import_over_a_system_is_settled(self, subject):
        """At whichever step: on one file or the other, with its snapshots."""
        driver = subject.driver
        assert isinstance(driver, ImportsOver)
        subject.create('a')
        staged = driver.export(subject.uuid, ExportRequest('a'), Context())
        members = [o for o in staged.members if o.role == manifest.DISK]
        request, made = OverRequest(), []

        def receive():
            files = driver.plan_over(subject.uuid, request, members)
            for member in members:
                data = content(subject, staged, member.name)
                driver.make_file(files[member.name], len(data))
                driver.write_file(files[member.name], 0, data)
            made.append(files)

        def over(context):
            receive()
            driver.import_over(
                subject.uuid, request, made[-1], members, context
            )

        for context in deaths(over):
            if context.last_step:
                end = settle(
                    lambda c: driver.settle_over(subject.uuid, made[-1], c),
                    context,
                )
                if isinstance(end, exceptions.OperationInterrupted):
                    assert end.args[0] == 'import'
            assert driver.names(subject.uuid) == ['a']
            driver.remove_files(list(made[-1].values()))

        subject.create('b')
        assert driver.names(subject.uuid) == ['a', 'b']
        driver.remove_staged(staged.folder)
        for files in made:
            driver.remove_files(list(files.values()))
