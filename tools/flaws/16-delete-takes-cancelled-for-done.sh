#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# libvirt has no way to stop the merge of a delete.  A block job that is
# cancelled in QEMU it takes for one that has ended well: the snapshot is gone,
# and the domain goes on with a file that lacks what was not merged yet.

. "$(dirname "$0")/machine"

# fill FILE: with lines, all of its disk; the domain is off.
fill() {
    yes newest | head -c "${size}M" >"$dir/lines"
    qemu-img convert -n -f raw -O qcow2 "$dir/lines" "$1"
    rm "$dir/lines"
}

# line FILE MIB: the first whole line after so much.
line() {
    qemu-img dd -f qcow2 -O raw bs=1M "skip=$2" count=1 \
        "if=$1" "of=$dir/read"
    sed -n 2p "$dir/read"
    rm "$dir/read"
}

size=256
image "$disk" "${size}M"
define "$(disk "$disk" vda)"
snapshot a
fill "$dir/a.qcow2"
snapshot b
run start "$name"

# command WORDS: of QMP; prints the names of all block jobs.
command() { virsh -q qemu-monitor-command "$name" "{$1}" 2>/dev/null; }
job() {
    command '"execute": "query-block-jobs"' |
        sed -n 's/.*"device":"\([^"]*\)".*/\1/p'
}

virsh -q snapshot-delete "$name" a >"$dir/said" 2>&1 &
deleting=$!
until job=$(job) && [ -n "$job" ]; do
    kill -0 $deleting 2>/dev/null || FAILED 'the merge was too fast'
done
command "'execute': 'block-job-cancel',
    'arguments': {'device': '$job', 'force': true}" >"$dir/cancelled"
wait $deleting || OK "the delete fails: $(said)"
run destroy "$name"

[ "$(line "$dir/b.qcow2" $((size - 1)))" = newest ] ||
    FLAW 'the delete has succeeded, and the disk lacks what was not merged'
OK 'the disk has all of its data'
