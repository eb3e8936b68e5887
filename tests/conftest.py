# SPDX-License-Identifier: Apache-2.0
"""What is so for all tests."""

import signal

# Whoever runs the tests in the background may have it ignored, by what they
# start as well.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
