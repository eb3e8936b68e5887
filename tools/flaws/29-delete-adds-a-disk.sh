#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The delete of a snapshot lets its parent, which leaves out a disk, be one of
# that disk, if there was a revert to the parent.  What it is then said to hold
# of the disk, the domain writes to.

. "$(dirname "$0")/machine"

image "$dir/vdb.qcow2"
machine "$(disk "$dir/vdb.qcow2" vdb)"
snapshot parent --diskspec vdb,snapshot=no
snapshot child --diskspec vdb,snapshot=no
revert parent
run snapshot-delete "$name" child --metadata

virsh -q snapshot-dumpxml "$name" parent | sed '/<domain /,$d' |
    sed -n '/<disks>/,/<.disks>/p' |
    grep -q "name='vdb' snapshot='no'" || FLAW 'the parent is one of vdb'
OK 'the parent leaves vdb out'
