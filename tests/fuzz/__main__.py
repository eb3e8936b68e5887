# SPDX-License-Identifier: Apache-2.0
"""
``python -m tests.fuzz``: an hour of requests, or as long as is asked for.
"""

import argparse
import pathlib
import sys
import tempfile
import time

import hypothesis
from sushy_tools.emulator import main as emulator

from hawkfish_plugin import plugin
from tests.fuzz import asking, running
from tests.served import Served

_BATCH = 2000


def main() -> int:
    parser = argparse.ArgumentParser('tests.fuzz', description=__doc__)
    parser.add_argument('--minutes', type=float, default=60.0)
    until = time.monotonic() + 60 * parser.parse_args().minutes
    plugin.setup(emulator.app)
    report, number = running.Report(), 0
    with tempfile.TemporaryDirectory() as folder:
        process = Served(pathlib.Path(folder)).start()

        @hypothesis.given(asking.requests_to(emulator.app))
        @hypothesis.settings(
            max_examples=_BATCH,
            deadline=None,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        def run(request: asking.Request) -> None:
            if time.monotonic() < until:
                running.ask(process, request, report)

        try:
            while time.monotonic() < until:
                number += 1
                hypothesis.seed(number)(run)()
        except running.Fault as exc:
            print(exc)
            return 1
        finally:
            print(report.text())
            print(process.log())
            process.stop()
    return 0


if __name__ == '__main__':
    sys.exit(main())
