# SPDX-License-Identifier: Apache-2.0
"""What is checked of a clone: the options of it, and what is shown."""

import argparse
import logging
import pathlib
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hawkfish_plugin.cli import base, errors, times

if TYPE_CHECKING:
    from hawkfish_plugin import client


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add one for each check."""
    parser.add_argument(
        '--run',
        metavar='SECONDS',
        type=_seconds,
        help='How long the clone has to run; 5 if not given.',
    )
    parser.add_argument(
        '--agent',
        action='store_true',
        default=None,
        help='Require the guest agent to answer.',
    )
    parser.add_argument(
        '--console',
        metavar='PATTERN',
        type=base.filled,
        help='Require a line of the console to contain this text; * '
        'stands for any text.',
    )
    parser.add_argument(
        '--command',
        metavar='COMMAND',
        type=_words,
        help='Require a program of the guest to return 0: its path and '
        'its arguments, as one word for the shell.',
    )
    parser.add_argument(
        '--screenshot',
        metavar='FILE',
        type=base.filled,
        help='Write a screenshot of the clone to a file, as PNG; of one '
        'clone only.',
    )
    parser.add_argument(
        '--deadline',
        metavar='SECONDS',
        type=_seconds,
        help='Time for each check; 120 seconds if not given.',
    )


def check(parsed_args: argparse.Namespace, refuse: base.Refuse) -> None:
    """Refuse what cannot be together."""
    if parsed_args.screenshot and parsed_args.wait is None:
        refuse('argument --screenshot: not allowed with --no-wait')


def asked(parsed_args: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of the SDK's ``verify``."""
    return {
        'run_time': parsed_args.run,
        'agent': parsed_args.agent,
        'console': parsed_args.console,
        'command': parsed_args.command,
        'screenshot': True if parsed_args.screenshot else None,
        'deadline': parsed_args.deadline,
    }


def save(
    verified: 'client.Snapshot | client.Backup',
    target: str,
    log: logging.Logger,
) -> None:
    """Write the screenshot to the file *target*."""
    picture = verified.screenshot()
    if picture is None:
        log.warning('There is no screenshot')
        return
    try:
        pathlib.Path(target).write_bytes(picture)
    except OSError as error:
        raise errors.CommandError(f'{target}: {error.strerror}') from None


def lines(verification: Mapping[str, Any]) -> list[str]:
    """Return each check of what was found, with its result."""
    return [_line(check) for check in verification.get('Checks', ())]


def _line(check: Mapping[str, Any]) -> str:
    detail = f': {check["Detail"]}' if check['Detail'] else ''
    return f'{check["Check"]} {check["Result"]}{detail}'


def _seconds(text: str) -> int:
    seconds = times.span(text)
    if not seconds:
        raise argparse.ArgumentTypeError('it has to be a second or more')
    return seconds


def _words(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not words:
        raise argparse.ArgumentTypeError('it is empty')
    return words
