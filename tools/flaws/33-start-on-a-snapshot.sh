#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Who defines an older definition again, as provisioning tools do, puts the
# domain on the files of its snapshots.  libvirt starts it, and they are lost.

. "$(dirname "$0")/machine"

machine
virsh -q dumpxml "$name" --inactive >"$dir/domain.xml"
snapshot s
run define "$dir/domain.xml"
try start "$name" --paused || OK "it is refused: $(said)"

FLAW 'the domain writes to the file of the snapshot'
