#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A revert that is forced keeps the managed save image.  The next start loads
# that memory, with caches of file systems, over the disks of the snapshot.

. "$(dirname "$0")/machine"

machine
snapshot s
run start "$name"
run managedsave "$name"
revert s --force

! virsh -q dominfo "$name" | grep -q 'Managed save: *yes' ||
    FLAW 'the next start loads the memory of what was discarded'
OK 'the saved memory is gone'
