#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The delete of the last snapshot of a branch that the domain is not on removes
# the image of a disk that was attached since the snapshot before.

. "$(dirname "$0")/machine"

machine
image "$dir/other.qcow2"
snapshot a
run attach-disk "$name" "$dir/other.qcow2" vdb --subdriver qcow2 --config
snapshot b --diskspec "vdb,snapshot=external,file=$dir/b-vdb.qcow2"
revert a
try snapshot-delete "$name" b || OK "it cannot be deleted: $(said)"

[ -e "$dir/other.qcow2" ] || FLAW 'the image of the disk is gone'
OK 'the image of the disk is there'
