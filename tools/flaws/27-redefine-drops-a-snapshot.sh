#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A snapshot is lost from the list, with what its children are linked to, when
# its new description cannot be written, for example to a full file system.

. "$(dirname "$0")/machine"

machine
snapshot s
virsh -q snapshot-dumpxml "$name" s >"$dir/s.xml"
# libvirt writes a new file first; there, it cannot.
in_the_way=/var/lib/libvirt/qemu/snapshot/$name/s.xml.new
mkdir "$in_the_way"
try snapshot-create "$name" "$dir/s.xml" --redefine && OK 'it is redefined'
rmdir "$in_the_way"

try snapshot-dumpxml "$name" s || FLAW "$(said)"
OK 'the snapshot is what it was'
