#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# One layer more than libvirt has noted, as backup tools make it, and a
# snapshot cannot be deleted.

. "$(dirname "$0")/machine"

machine
run start "$name"
snapshot s
run snapshot-create-as "$name" backup --disk-only --no-metadata \
    --diskspec "vda,snapshot=external,file=$dir/backup.qcow2"

try snapshot-delete "$name" s || FLAW "$(said)"
OK 'it is deleted'
