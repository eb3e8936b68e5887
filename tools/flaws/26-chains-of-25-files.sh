#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A domain with 25 files below its disk does not start, and is killed when
# libvirtd restarts, as libvirt cannot parse what QEMU says of it.

. "$(dirname "$0")/machine"

machine
for number in $(seq 25); do snapshot "s$number"; done

try start "$name" || FLAW "$(said)"
OK 'it starts'
