#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# To redefine the current snapshot as the current one, for example with
# another description, makes libvirt forget the overlays of its last revert.
# The next revert removes those of another branch instead.

. "$(dirname "$0")/machine"

machine
snapshot root
snapshot aside
revert root
virsh -q snapshot-dumpxml "$name" root >"$dir/root.xml"
run snapshot-create "$name" "$dir/root.xml" --redefine --current
revert root

[ -e "$dir/root.qcow2" ] || FLAW 'the file that the snapshot "aside" is of is gone'
OK 'the other branch has its file'
