#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A revert to an external snapshot crashes libvirtd where no snapshot is the
# current one.

. "$(dirname "$0")/machine"

machine
snapshot s
virsh -q snapshot-dumpxml "$name" s >"$dir/s.xml"
run snapshot-delete "$name" s --metadata
run snapshot-create "$name" "$dir/s.xml" --redefine

! revert s 2>/dev/null || OK 'it is reverted to'
answers || FLAW 'libvirtd has crashed'
OK "it is refused: $(said)"
