#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Where the definition for the next start has another path to the same disk, or
# an older one, a create of a running domain switches the live definition
# alone.  The next start then writes to the file that the snapshot holds.

. "$(dirname "$0")/machine"

machine
virsh -q dumpxml "$name" >"$dir/old.xml"
run start "$name"
snapshot a
# What a tool that keeps definitions of its own does.
run define "$dir/old.xml"
try snapshot-create-as "$name" b --disk-only \
    --diskspec "vda,snapshot=external,file=$dir/b.qcow2" ||
    OK "it is refused: $(said)"

[ "$(source_of vda --inactive)" != "$disk" ] ||
    FLAW 'the next start is on the file of the snapshot a'
OK 'the next start is on the new file'
