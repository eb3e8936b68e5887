#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The overlay of a domain that is off can be read by every user of the host
# (CVE-2025-13193).

. "$(dirname "$0")/machine"

machine
chmod 600 "$disk"
umask 022
snapshot s

mode=$(stat -c %a "$dir/s.qcow2")
[ "$mode" = 600 ] || FLAW "its mode is $mode"
OK 'it is private'
