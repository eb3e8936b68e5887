# SPDX-License-Identifier: Apache-2.0
"""
``hawkfish subscription``: the event destinations of the service.

Owns the options for the properties of a subscription. The service decides
which values are valid.
"""

import argparse
from typing import TYPE_CHECKING, Any

from hawkfish_plugin.cli import base, tables
from hawkfish_plugin.cli.tasks import Fields

if TYPE_CHECKING:
    from hawkfish_plugin import client

RETRY_POLICIES = (
    'TerminateAfterRetries',
    'SuspendRetries',
    'RetryForever',
    'RetryForeverWithBackoff',
)
# The option, its property, its argument of ``subscribe`` and its metavar; each
# can be repeated.
FILTERS = (
    ('registry', 'RegistryPrefixes', 'registry_prefixes', 'PREFIX'),
    (
        'exclude-registry',
        'ExcludeRegistryPrefixes',
        'exclude_registry_prefixes',
        'PREFIX',
    ),
    ('message', 'MessageIds', 'message_ids', 'ID'),
    ('exclude-message', 'ExcludeMessageIds', 'exclude_message_ids', 'ID'),
    ('resource-type', 'ResourceTypes', 'resource_types', 'TYPE'),
    ('severity', 'Severities', 'severities', 'SEVERITY'),
)


def _header(text: str) -> dict[str, str]:
    name, colon, value = text.partition(':')
    if not colon:
        raise argparse.ArgumentTypeError('a header is NAME: VALUE')
    return {name.strip(): value.strip()}


def _row(subscription: 'client.Subscription') -> tuple[Any, ...]:
    return (
        subscription.identity,
        subscription.type,
        subscription.destination,
        subscription.context,
        subscription.state,
        subscription.health,
    )


def _fields(subscription: 'client.Subscription') -> Fields:
    values = {
        **dict(
            zip(ListSubscriptions.columns, _row(subscription), strict=True)
        ),
        'Retry policy': subscription.retry_policy,
        'Verify': subscription.verify_certificate,
    }
    for name in (*(f[1] for f in FILTERS), 'OriginResources'):
        found = subscription.json.get(name)
        if found:
            values[name] = [_word(value) for value in found]
    return tuple(values), tuple(values.values())


def _word(value: Any) -> str:
    return str(value['@odata.id'] if isinstance(value, dict) else value)


class ListSubscriptions(tables.Lister):
    """List the event subscriptions, including those of open streams."""

    brief = ('ID', 'Type', 'Destination', 'State')
    nothing = 'subscriptions'

    columns = ('ID', 'Type', 'Destination', 'Context', 'State', 'Health')

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[Any]]:
        found = self.client.subscriptions()
        return self.columns, [_row(subscription) for subscription in found]


class ShowSubscription(tables.ShowOne):
    """Show one subscription."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'subscription',
            metavar='SUBSCRIPTION',
            type=base.name,
            help='ID of the subscription.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Fields:
        client = self.client
        return _fields(client.subscription(parsed_args.subscription))


class CreateSubscription(tables.ShowOne):
    """
    Subscribe a destination to events, and show the subscription.

    Without a filter, all events are sent. If a filter is repeated, an event
    has to match one of its values.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'destination',
            metavar='URL',
            type=base.filled,
            help='Destination of the events: an http or https URL.',
        )
        parser.add_argument('--context', help='Text to send with each event.')
        parser.add_argument(
            '--retry-policy',
            choices=RETRY_POLICIES,
            help='What to do if an event cannot be delivered.',
        )
        parser.add_argument(
            '--no-verify',
            action='store_false',
            dest='verify',
            default=None,
            help='Do not verify the certificate of the destination.',
        )
        parser.add_argument(
            '--header',
            action='append',
            type=_header,
            metavar='HEADER',
            help='Header to send with the events, as "NAME: VALUE".',
        )
        for option, name, argument, value in FILTERS:
            parser.add_argument(
                f'--{option}',
                dest=argument,
                action='append',
                metavar=value,
                help=f'Filter on the property {name}.',
            )
        parser.add_argument(
            '--origin',
            action='append',
            metavar='URI',
            help='Send only events of this resource and its subordinates.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Fields:
        created = self.client.subscribe(
            parsed_args.destination,
            context=parsed_args.context,
            retry_policy=parsed_args.retry_policy,
            verify_certificate=parsed_args.verify,
            headers=parsed_args.header,
            origins=parsed_args.origin,
            **{one: getattr(parsed_args, one) for _, _, one, _ in FILTERS},
        )
        return _fields(created)


class DeleteSubscriptions(base.Command):
    """
    Delete subscriptions, and close their streams.

    If a subscription cannot be deleted, the command continues with the
    others.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'subscriptions',
            metavar='SUBSCRIPTION',
            type=base.name,
            nargs='+',
            help='IDs of the subscriptions.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        self.all_of(
            parsed_args.subscriptions,
            lambda number: self.client.subscription(number).delete(),
            'Deleted subscription',
        )
