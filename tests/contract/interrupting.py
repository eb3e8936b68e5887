# SPDX-License-Identifier: Apache-2.0
"""What every driver promises of operations that do not come to their end."""

import contextlib
import itertools
from collections.abc import Iterator

import pytest

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import contract
from tests.contract.context import Context, Killed
from tests.contract.outcomes import outcome

# What is said of a revert that did not take place.
NOT_REVERTED = (
    exceptions.OperationInterrupted,
    exceptions.RevertNotStarted,
    exceptions.RevertUndone,
    exceptions.RevertUnknown,
)


def deaths(call) -> Iterator[Context]:
    """
    The contexts in which *call* died, at one moment after the other.

    The last call of it comes to its end.
    """
    for moment in itertools.count():
        context = Context(die_at=moment)
        try:
            call(context)
        except Killed:
            yield context
        else:
            assert context.steps
            return


def settle(call, context: Context):
    """
    What *call* returns or raises where *context* has died.

    It is called three times, as nobody knows whether the first one was heard:
    that dies as well, after a step if it has one.
    """
    outcomes, heir = [], context.heir(die_at=1)
    with contextlib.suppress(Killed):
        outcomes.append(outcome(call, heir))
    for _ in range(2):
        heir = heir.heir()
        outcomes.append(outcome(call, heir))
    assert len({type(each) for each in outcomes}) == 1
    return outcomes[0]


class Interrupting:
    """What is told, cancelled, or killed and settled."""

    def test_what_is_told_of_an_operation(self, subject):
        """Progress is a percentage, and every message one of the registry."""
        contexts = [Context() for _ in range(3)]

        subject.create('a', context=contexts[0])
        subject.revert('a', contexts[1])
        subject.delete('a', contexts[2])

        for context in contexts:
            assert context.steps
            assert all(0 <= percent <= 100 for percent in context.percents)
            for message_id, args in context.messages:
                entry = messages.registry()[message_id]
                assert len(args) == entry['NumberOfArgs']

    @pytest.mark.parametrize('operation', ['create', 'revert', 'delete'])
    def test_cancel(self, subject, operation):
        """What is cancelled says so by its name, and has changed nothing."""
        subject.create('a')
        subject.create('b')
        before = subject.tree()
        call = {
            'create': lambda context: subject.create('c', context=context),
            'revert': lambda context: subject.revert('a', context),
            'delete': lambda context: subject.delete('b', context),
        }[operation]

        with contextlib.suppress(exceptions.OperationCancelled):
            call(Context(cancelled=True))
            # One that cannot be cancelled, or not any more.
            assert subject.tree() != before
            return

        error = outcome(call, Context(cancelled=True))
        assert error.args == (operation,)
        assert subject.tree() == before

    def test_a_snapshot_is_known_by_the_journal_of_its_create(self, subject):
        """Nobody's word is taken for it but that of the journal."""
        context = Context()

        subject.create('a', context=context)

        made = subject.tree()['a']
        known = subject.driver.made_by(subject.uuid, 'a', context)
        # Nothing tells an internal one from another of its name.
        assert known == (made.created if made.external else None)
        assert subject.driver.made_by(subject.uuid, 'a', Context()) is None
        assert subject.driver.made_by(subject.uuid, 'b', context) is None

    def test_an_interrupted_create_is_settled(self, subject):
        """At whichever step: it is there, or it is not and that is said."""
        subject.create('base')
        before = subject.tree()
        request = contract.CreateRequest('a')

        for context in deaths(lambda c: subject.create('a', context=c)):
            if not context.last_step:
                assert subject.tree() == before
                continue
            end = settle(
                lambda c: subject.driver.settle_create(
                    subject.uuid, request, c
                ),
                context,
            )
            if isinstance(end, exceptions.OperationInterrupted):
                assert end.args[0] == 'create'
            else:
                assert subject.current == 'a'
                assert subject.tree()['a'].created == end.created
                subject.delete('a')
            assert subject.tree() == before

        assert [*subject.tree()] == ['base', 'a']

    def test_an_interrupted_revert_is_settled(self, subject):
        """At whichever step: it took place, or it did not and that is said."""
        for name in 'ab':
            subject.create(name)
        before = subject.tree()

        for context in deaths(lambda c: subject.revert('a', c)):
            if not context.last_step:
                assert subject.tree() == before
                continue
            end = settle(
                lambda c: subject.driver.settle_revert(
                    subject.uuid, subject.back_to('a'), c
                ),
                context,
            )
            assert end is None or isinstance(end, NOT_REVERTED)
            if end is None:
                assert subject.current == 'a'
                subject.revert('b')
            assert subject.tree() == before

        assert subject.current == 'a'

    def test_an_interrupted_delete_is_settled(self, subject):
        """At whichever step: it is gone, or it is not and that is said."""
        subject.create('base')

        def delete(context):
            if 'a' not in subject.tree():
                subject.create('a')
            subject.delete('a', context)

        for context in deaths(delete):
            if not context.last_step:
                assert 'a' in subject.tree()
                continue
            end = settle(
                lambda c: subject.driver.settle_delete(subject.uuid, 'a', c),
                context,
            )
            if end is not None:
                assert isinstance(end, exceptions.OperationInterrupted)
                assert end.args[0] == 'delete'
            assert ('a' in subject.tree()) == (end is not None)

        assert subject.current == 'base'
