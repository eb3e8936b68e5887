#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A snapshot is created of a domain with a disk that is a volume of a pool,
# even a read-only one that the snapshot leaves out, and can never be reverted
# to.

. "$(dirname "$0")/machine"

pool=$name
remove_pool() { virsh pool-destroy "$pool" >/dev/null 2>&1; }
trap 'remove_pool; _clean' EXIT

mkdir "$dir/pool"
image "$dir/pool/data.qcow2"
run pool-create-as "$pool" dir --target "$dir/pool"
machine "<disk type='volume' device='disk'>
  <driver name='qemu' type='qcow2'/>
  <source pool='$pool' volume='data.qcow2'/>
  <target dev='vdb' bus='virtio'/><readonly/>
</disk>"
snapshot s --diskspec vdb,snapshot=no

! revert s 2>/dev/null || OK 'it is reverted to'
FLAW "$(said)"
