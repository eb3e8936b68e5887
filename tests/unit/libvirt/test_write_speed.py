# SPDX-License-Identifier: Apache-2.0
"""The longest pause that is to be expected."""

from hawkfish_plugin.drivers.libvirt.write_speed import WriteSpeed

MIB = 2**20


def test_the_slowest_that_was_measured_counts():
    """A pause is forecast too long rather than too short."""
    speed = WriteSpeed()
    unmeasured = speed.pause(1000 * MIB)
    for seconds in (1.0, 4.0, 2.0):
        speed.note(400 * MIB, seconds)

    assert unmeasured > 10
    assert 4.0 <= speed.pause(400 * MIB) <= 5.0


def test_little_memory_says_nothing():
    """It is the calls that take that time."""
    speed = WriteSpeed()
    before = speed.pause(1000 * MIB)

    speed.note(1 * MIB, 1.0)

    assert speed.pause(1000 * MIB) == before


def test_what_a_host_could_do_once_is_forgotten():
    """One bad moment is not remembered for ever."""
    speed = WriteSpeed()
    speed.note(100 * MIB, 100.0)
    for _ in range(20):
        speed.note(100 * MIB, 0.1)

    assert speed.pause(100 * MIB) < 2
