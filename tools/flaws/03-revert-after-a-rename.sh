#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# After a rename no snapshot with memory can be reverted to, and each try costs
# the guest its memory.

. "$(dirname "$0")/machine"

machine
run start "$name"
with_memory s
run destroy "$name"
run domrename "$name" "$name-renamed"
name=$name-renamed
run start "$name"

! revert s 2>/dev/null || OK 'it is reverted to'
[ "$(state)" = running ] || FLAW "the guest is $(state) ($(said))"
OK 'the guest runs on'
