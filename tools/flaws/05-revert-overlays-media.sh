#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A revert puts an overlay over the read-only medium of a drive, which the
# snapshot has left out, and lets the drive have it.

. "$(dirname "$0")/machine"

qemu-img create -q -f raw "$dir/medium.iso" 1M
machine "$(drive "$dir/medium.iso")"
snapshot s
revert s

[ "$(source_of sda)" = "$dir/medium.iso" ] ||
    FLAW "the medium is ${dir##*/}/$(basename "$(source_of sda)") now"
OK 'the drive has its medium'
