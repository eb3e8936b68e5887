# SPDX-License-Identifier: Apache-2.0
"""Which look will do for who decides."""

import threading
import time

from hawkfish_plugin.drivers.libvirt.moments import Moments


def test_outside_of_a_decision_all_is_looked_at_anew():
    before = time.monotonic()

    assert Moments().since >= before


def test_one_look_will_do_for_a_decision():
    """What is asked later may be answered by what was asked first."""
    moments = Moments()
    with moments.at_one_time():
        begun = time.monotonic()

        assert moments.since <= begun


def test_what_was_changed_is_looked_at_anew():
    """By whatever part of the decision it was changed."""
    moments = Moments()
    with moments.at_one_time():
        with moments.at_one_time():
            changed = time.monotonic()
            moments.changing()
        assert moments.since >= changed


def test_a_part_of_a_decision_is_one_of_its_own():
    moments = Moments()
    with moments.at_one_time():
        begun = time.monotonic()
        with moments.at_one_time():
            assert moments.since >= begun
        assert moments.since <= begun


def test_another_thread_decides_for_itself():
    moments, since = Moments(), list[float]()
    with moments.at_one_time():
        begun = time.monotonic()
        thread = threading.Thread(target=lambda: since.append(moments.since))
        thread.start()
        thread.join()

    assert since[0] >= begun
