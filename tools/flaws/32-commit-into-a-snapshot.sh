#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A block commit overwrites the file that a snapshot holds.  libvirt knows the
# snapshot, allows it, and lists the snapshot as before.

. "$(dirname "$0")/machine"

machine
run start "$name" --paused
snapshot s
try blockcommit "$name" vda --active --pivot --wait ||
    OK "it is refused: $(said)"

[ "$(source_of vda)" != "$disk" ] ||
    FLAW 'the domain writes to the file of the snapshot'
OK 'the file of the snapshot is left alone'
