#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The delete of an external snapshot with another branch above it crashes
# libvirtd if a disk there has no backing file, like an empty drive.

. "$(dirname "$0")/machine"

machine "$(drive)"
run start "$name"
for each in a b c; do with_memory "$each"; done
revert b
with_memory d

try snapshot-delete "$name" a && OK 'it is deleted'
answers || FLAW 'libvirtd has crashed'
OK "it is refused: $(said)"
