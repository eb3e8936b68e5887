#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A delete leaves the memory file of the snapshot behind.

. "$(dirname "$0")/machine"

machine
run start "$name"
with_memory s
run snapshot-delete "$name" s

[ ! -e "$dir/s.mem" ] || FLAW 'the memory file is there'
OK 'the memory file is gone'
