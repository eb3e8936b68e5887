#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# To forget a snapshot, with --metadata, changes what the later ones have
# captured, as if its data had been merged.

. "$(dirname "$0")/machine"

machine
snapshot a
snapshot b
run snapshot-delete "$name" a --metadata

virsh -q snapshot-dumpxml "$name" b | sed '1,/<domain /d' |
    grep -q "file='$dir/a.qcow2'" || FLAW 'b is said to be of the file below'
OK 'b is of what it was'
