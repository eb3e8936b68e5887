#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A revert removes the overlays that the current snapshot names, not those that
# the domain is on.  After the delete of the newest of two branches they are
# the other one's, whose snapshot is lost.

. "$(dirname "$0")/machine"

machine
snapshot root
snapshot aside
revert root
snapshot newest
try snapshot-delete "$name" newest || OK "newest cannot be deleted: $(said)"
revert root

[ -e "$dir/root.qcow2" ] || FLAW 'the file that the snapshot "aside" is of is gone'
OK 'the other branch has its file'
