#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A revert to a snapshot whose memory file is gone powers the guest off before
# it looks for that file.

. "$(dirname "$0")/machine"

machine
run start "$name"
with_memory s
rm "$dir/s.mem"

! revert s 2>/dev/null || OK 'it is reverted to'
[ "$(state)" = running ] || FLAW "the guest is $(state) ($(said))"
OK 'the guest runs on'
