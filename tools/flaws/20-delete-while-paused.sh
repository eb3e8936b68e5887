#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A delete of a snapshot of a paused domain fails half-way, and its parent can
# never be deleted any more.

. "$(dirname "$0")/machine"

machine
run start "$name"
run suspend "$name"
with_memory a
snapshot b
! try snapshot-delete "$name" b || OK 'it is deleted'
said >"$dir/first"

! virsh -q snapshot-dumpxml "$name" a | grep -q snapshotDeleteInProgress ||
    FLAW "$(cat "$dir/first"); its parent is marked as half merged"
OK "it is refused: $(cat "$dir/first")"
