#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The overlay over an encrypted disk is not encrypted: what the guest writes
# from then on is on the disk of the host in plain text.

. "$(dirname "$0")/machine"

secret=$(cat /proc/sys/kernel/random/uuid)
forget() { virsh secret-undefine "$secret" >/dev/null 2>&1 || true; }
trap '_clean; forget' EXIT

luks=$dir/luks.img
qemu-img create -q -f luks --object secret,id=s,data=word \
    -o key-secret=s,iter-time=10 "$luks" 16M
cat >"$dir/secret.xml" <<XML
<secret ephemeral='no' private='no'>
  <uuid>$secret</uuid>
  <usage type='volume'><volume>$luks</volume></usage>
</secret>
XML
run secret-define "$dir/secret.xml"
printf word >"$dir/word"
run secret-set-value "$secret" --file "$dir/word" --plain
define "<disk type='file' device='disk'>
  <driver name='qemu' type='raw'/>
  <source file='$luks'>
    <encryption format='luks'><secret type='passphrase' uuid='$secret'/>
    </encryption>
  </source>
  <target dev='vda' bus='virtio'/>
</disk>"
try snapshot-create-as "$name" s --disk-only \
    --diskspec "vda,snapshot=external,file=$dir/s.qcow2" ||
    OK "it is refused: $(said)"

qemu-img info -U "$dir/s.qcow2" | grep -q 'encrypted: yes' ||
    FLAW 'the overlay is in plain text'
OK 'the overlay is encrypted'
