#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A revert names overlays after the files below, without their endings: two
# disks whose files differ in nothing else are to have the same one.

. "$(dirname "$0")/machine"

image "$dir/disk.one"
image "$dir/disk.two"
define "$(disk "$dir/disk.one" vda)" "$(disk "$dir/disk.two" vdb)"
snapshot s --diskspec "vdb,snapshot=external,file=$dir/vdb.qcow2"
run start "$name"
revert s --force || FLAW "the revert fails: $(said); the domain is $(state)"

[ "$(source_of vda)" != "$(source_of vdb)" ] || FLAW 'two disks are one file'
OK 'each disk has a file'
