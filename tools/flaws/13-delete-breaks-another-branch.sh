#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A delete lets the files of other branches that stand on what was merged stand
# on the file below.  It does so as QEMU's user and ignores that this fails:
# for a file that QEMU does not use libvirt has restored the owner, root.

. "$(dirname "$0")/machine"

machine
run start "$name"
for each in a b; do with_memory "$each"; done
run destroy "$name"
snapshot c
revert b
with_memory d

try snapshot-delete "$name" a || OK "it is not deleted: $(said)"
below=$(qemu-img info -U "$dir/b.qcow2" | sed -n 's/^backing file: //p')
[ -e "$below" ] || FLAW "$(basename "$below"), below the snapshot c, is gone"
OK 'the file below the snapshot c is there'
