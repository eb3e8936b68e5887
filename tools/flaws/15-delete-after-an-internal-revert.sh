#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The delete of an external snapshot, after a revert to the internal one that
# it grew from, removes the disk of the domain.

. "$(dirname "$0")/machine"

machine
run snapshot-create-as "$name" internal
snapshot external
try snapshot-revert "$name" internal || OK "no such revert: $(said)"
try snapshot-delete "$name" external || OK "no such delete: $(said)"

[ -e "$disk" ] || FLAW 'the disk of the domain is gone'
OK 'the disk of the domain is there'
