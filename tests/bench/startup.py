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

from tests.functional.emulator import BIN, free_port

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
        config = pathlib.Path(folder, 'emulator.conf')
        config.write_text(f'SUSHY_EMULATOR_STATE_DIR = {folder!r}\n')
        port = str(free_port())
        os.environ['OS_HAWKFISH__STATE_DIR'] = f'{folder}/state'
        os.environ['HAWKFISH_URL'] = f'http://127.0.0.1:{port}'
        emulator = subprocess.Popen(
            [
                BIN / 'hawkfish-emulator',
                '--fake',
                '--config',
                config,
                '--interface',
                '127.0.0.1',
                '--port',
                port,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_up()
            return 0 if measure() else 1
        finally:
            emulator.kill()
            emulator.wait()


def wait_up() -> None:
    command = [BIN / 'hawkfish', 'snapshot', 'list', 'fake']
    deadline = time.monotonic() + 30
    while subprocess.run(command, capture_output=True).returncode:
        if time.monotonic() > deadline:
            raise SystemExit('the emulator does not come up')


if __name__ == '__main__':
    sys.exit(main())
