#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A create overwrites an existing memory file, which may be that of another
# snapshot, and says nothing.

. "$(dirname "$0")/machine"

machine
run start "$name"
echo precious >"$dir/s.mem"
try snapshot-create-as "$name" s --live \
    --memspec "file=$dir/s.mem,snapshot=external" \
    --diskspec "vda,snapshot=external,file=$dir/s.qcow2" ||
    OK "it is refused: $(said)"

[ "$(head -c 8 "$dir/s.mem")" = precious ] || FLAW 'the file is overwritten'
OK 'the file is as it was'
