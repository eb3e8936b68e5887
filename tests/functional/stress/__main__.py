# SPDX-License-Identifier: Apache-2.0
"""Rounds by the thousand: ``python -m tests.functional.stress``."""

import argparse
import random
import sys
import time

import libvirt

from tests.functional.stress.rounds import Failure, run
from tests.lab.roots import default


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=1000)
    parser.add_argument(
        '--minutes', type=float, help='end after so many minutes'
    )
    parser.add_argument(
        '--seed',
        type=int,
        default=random.SystemRandom().randrange(10**6),
        help='what is chosen; by default a new one',
    )
    parser.add_argument(
        '--first',
        type=int,
        default=1,
        metavar='ROUND',
        help='begin with the tree of this round, to repeat a failure',
    )
    parser.add_argument('--release', default=default()[0])
    parser.add_argument('--verbose', action='store_true')
    arguments = parser.parse_args()
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    begin = time.monotonic()
    try:
        result = run(
            arguments.release,
            arguments.seed,
            arguments.rounds,
            arguments.first,
            arguments.minutes and arguments.minutes * 60,
            print if arguments.verbose else lambda _text: None,
        )
    except Failure as exc:
        print(exc)
        return 1
    print(result)
    minutes = (time.monotonic() - begin) / 60
    print(f'seed {arguments.seed}: all is well after {minutes:.0f} minutes')
    return 0


if __name__ == '__main__':
    sys.exit(main())
