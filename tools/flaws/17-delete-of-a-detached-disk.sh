#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A snapshot with a disk that was detached since can never be deleted.

. "$(dirname "$0")/machine"

image "$dir/vdb.qcow2"
machine "$(disk "$dir/vdb.qcow2" vdb)"
snapshot s --diskspec "vdb,snapshot=external,file=$dir/s-vdb.qcow2"
run detach-disk "$name" vdb --config

try snapshot-delete "$name" s || FLAW "$(said)"
OK 'it is deleted'
