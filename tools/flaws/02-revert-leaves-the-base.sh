#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A revert to a snapshot whose memory cannot be loaded leaves the definition on
# the file of the snapshot itself.  The next start writes to it, and so ruins
# that snapshot and all that grow from there.

. "$(dirname "$0")/machine"

machine
run start "$name"
with_memory s
size=$(stat -c %s "$dir/s.mem")
truncate -s $((size / 2)) "$dir/s.mem"

! revert s 2>/dev/null || OK 'it is reverted to'
[ "$(source_of vda --inactive)" != "$disk" ] ||
    FLAW "the guest is $(state), and vda is the file of the snapshot"
OK 'the definition is as it was'
