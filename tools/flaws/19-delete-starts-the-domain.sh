#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The delete of an external snapshot of a domain that is off starts it, paused:
# it fails where that cannot be, as when a medium of a drive is gone.  Whoever
# looks meanwhile sees a domain that is on.

. "$(dirname "$0")/machine"

qemu-img create -q -f raw "$dir/medium.iso" 1M
machine "$(drive "$dir/medium.iso")"
snapshot s
rm "$dir/medium.iso"

try snapshot-delete "$name" s || FLAW "$(said)"
OK 'it is deleted'
