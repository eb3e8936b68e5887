#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A snapshot of the disks alone of a running domain cannot be reverted to.

. "$(dirname "$0")/machine"

machine
run start "$name"
snapshot s

! revert s 2>/dev/null || OK 'it is reverted to'
FLAW "$(said)"
