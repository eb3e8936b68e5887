# SPDX-License-Identifier: Apache-2.0
"""
How long ``hawkfish`` takes to start: ``python -m tests.bench.startup``.

A listing of a fake system, and the help, are measured against the import of
requests in the same run, as what a machine can do differs. Exits with 1 when
a median is above its limit.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from tests.served import BIN, Served

ROUNDS = 9
YARDSTICK = (sys.executable, '-c', 'import requests')
# Times the yardstick: 0.3 s where importing requests takes 0.1 s.
LIMITS = {'snapshot list fake': 3.0, '--help': 2.0}


def seconds(command: tuple[str, ...]) -> float:
    begin = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def measure() -> bool:
    """Print the medians and their ratios; return whether all are in limits."""
    commands = {
        words: (str(BIN / 'hawkfish'), *words.split()) for words in LIMITS
    }
    commands['import requests'] = YARDSTICK
    # The first round fills caches.
    rounds = [
        {words: seconds(command) for words, command in commands.items()}
        for _ in range(ROUNDS + 1)
    ][1:]
    medians = {
        words: statistics.median(times[words] for times in rounds)
        for words in commands
    }
    good = True
    for words, limit in {**LIMITS, 'import requests': 1.0}.items():
        ratio = medians[words] / medians['import requests']
        good &= ratio <= limit
        print(f'{medians[words]:.3f} s  {ratio:.2f} (limit {limit})  {words}')
    return good


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        emulator = Served(pathlib.Path(folder))
        os.environ['HAWKFISH_URL'] = emulator.url
        try:
            emulator.start()
            return 0 if measure() else 1
        finally:
            emulator.stop()


if __name__ == '__main__':
    sys.exit(main())
