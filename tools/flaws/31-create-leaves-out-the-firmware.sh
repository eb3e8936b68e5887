#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# An external snapshot includes neither the UEFI variables nor the state of a
# virtual TPM.  After a revert, the disks are those of then, and the variables
# those of now.

. "$(dirname "$0")/machine"

machine
truncate -s 1M "$dir/code.fd" "$dir/vars.fd"
loader="<loader readonly='yes' type='pflash'>$dir/code.fd</loader>"
virsh -q dumpxml "$name" --inactive |
    sed "s|</type>|&$loader<nvram>$dir/vars.fd</nvram>|" >"$dir/domain.xml"
run define "$dir/domain.xml"
snapshot s
echo later >"$dir/vars.fd"
revert s

! grep -q later "$dir/vars.fd" || FLAW 'the variables are those of now'
OK 'the variables are those of the snapshot'
