#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The overlay of a revert is named after the second, so a second revert within
# it fails.  (With a running guest it does so after that was stopped.)

. "$(dirname "$0")/machine"

machine
snapshot s
revert s

for _ in 1 2 3; do
    again="snapshot-revert $name s"
    try "$again; $again; $again; $again" || FLAW "$(said)"
done
OK 'all of them succeed'
