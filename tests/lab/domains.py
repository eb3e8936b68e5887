# SPDX-License-Identifier: Apache-2.0
"""Systems for the lab: from a bare definition to a booted guest.

``Domain`` says what a system is like and ``define`` makes it: the disks in
the host's pool, formatted for the guest, and the definition. What happens
to it then is the business of libvirt and of the test.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import shutil
import subprocess
from xml.etree import ElementTree

from tests.lab import roots
from tests.lab.host import GUEST, IMAGES, SERIAL, Host

FIRMWARE = "/usr/share/OVMF"
AGENT = "org.qemu.guest_agent.0"
DEVICE = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd"}


@dataclasses.dataclass(frozen=True)
class Disk:
    """One disk of a domain, and the ext4 file system on it.

    The guest mounts the file systems by label: "data1" on /mnt, "data2"
    on /mnt2. *volume* makes it a ``<disk type='volume'>`` of the pool.
    """

    bus: str = "virtio"
    format: str = "qcow2"
    size_mib: int = 64
    volume: bool = False
    readonly: bool = False
    shareable: bool = False
    transient: bool = False
    formatted: bool = True
    folder: str = IMAGES


@dataclasses.dataclass(frozen=True)
class Domain:
    """What a domain is like; the defaults boot in about four seconds.

    *cdrom* is None for no drive, "empty", or the path of a medium on the
    host. Without *boot_guest* a started domain sits in its firmware. The
    guest sees SATA, disk or drive, with *full_kernel* only: it boots half
    as fast, and is taken for SATA disks anyway.
    """

    name: str
    disks: tuple[Disk, ...] = (Disk(),)
    firmware: str = "bios"
    machine: str = "q35"
    cdrom: str | None = None
    agent: bool = True
    boot_guest: bool = True
    full_kernel: bool = False
    memory_mib: int = 256
    tpm: bool = False


def define(host: Host, domain: Domain) -> str:
    """Make the disks and the definition; return the domain's UUID."""
    with contextlib.closing(host.connect()) as connection:
        for number, disk in enumerate(domain.disks, 1):
            _make_disk(host, disk, disk_path(domain, number), number)
        connection.storagePoolLookupByName("default").refresh()
        uuid: str = connection.defineXML(to_xml(domain)).UUIDString()
    return uuid


def disk_path(domain: Domain, number: int) -> str:
    """Return the path on the host of a disk, counted from 1."""
    disk = domain.disks[number - 1]
    return f"{disk.folder}/{domain.name}-{number}.{disk.format}"


def make_medium(host: Host, name: str, text: str = "a medium\n") -> str:
    """Put a medium for CD drives in the pool; return its path there.

    The guest reads *text* at the beginning of /dev/sr0.
    """
    path = f"{IMAGES}/{name}"
    host.path(path).write_bytes(text.encode().ljust(2**20, b"\0"))
    return path


def to_xml(domain: Domain) -> str:
    """Return the definition of *domain*."""
    root = ElementTree.Element("domain", type="qemu")
    _add(root, "name", domain.name)
    _add(root, "memory", str(domain.memory_mib), unit="MiB")
    _add(root, "vcpu", "1")
    _add_os(root, domain)
    features = _add(root, "features")
    _add(features, "acpi")
    _add(features, "apic")
    _add(root, "cpu", mode="maximum")
    _add(root, "on_reboot", "restart")
    _add(root, "on_crash", "preserve")
    _add_devices(_add(root, "devices"), domain)
    return ElementTree.tostring(root, encoding="unicode")


def _add(
    parent: ElementTree.Element, tag: str, text: str = "", **attributes: str
) -> ElementTree.Element:
    child = ElementTree.SubElement(parent, tag, attributes)
    child.text = text or None
    return child


def _add_os(root: ElementTree.Element, domain: Domain) -> None:
    system = _add(root, "os")
    _add(system, "type", "hvm", arch="x86_64", machine=domain.machine)
    if domain.firmware == "uefi":
        code = f"{FIRMWARE}/OVMF_CODE_4M.fd"
        _add(system, "loader", code, readonly="yes", type="pflash")
        _add(system, "nvram", template=f"{FIRMWARE}/OVMF_VARS_4M.fd")
    if domain.boot_guest:
        mounted = "".join(
            f" lab.disk=data{number}"
            for number, disk in enumerate(domain.disks, 1)
            if disk.formatted
        )
        sata = any(disk.bus == "sata" for disk in domain.disks)
        kernel = "full" if sata or domain.full_kernel else "quick"
        _add(system, "kernel", f"{GUEST}/{kernel}/vmlinuz")
        _add(system, "initrd", f"{GUEST}/{kernel}/initrd")
        _add(system, "cmdline", f"console=ttyS0 quiet panic=-1{mounted}")
    _add(system, "boot", dev="hd")


def _add_devices(devices: ElementTree.Element, domain: Domain) -> None:
    taken: dict[str, int] = {}
    for number, disk in enumerate(domain.disks, 1):
        path = disk_path(domain, number)
        _add_disk(devices, disk, path, _device(taken, disk.bus))
    if domain.cdrom:
        bus = "ide" if domain.machine == "pc" else "sata"
        _add_cdrom(devices, domain.cdrom, bus, _device(taken, bus))
    if "scsi" in {disk.bus for disk in domain.disks}:
        _add(devices, "controller", type="scsi", model="virtio-scsi")
    _add_serials(devices, domain)
    if domain.agent:
        channel = _add(devices, "channel", type="unix")
        _add(channel, "target", type="virtio", name=AGENT)
    if domain.tpm:
        tpm = _add(devices, "tpm", model="tpm-crb")
        _add(tpm, "backend", type="emulator", version="2.0")
    _add(devices, "memballoon", model="virtio")


def _device(taken: dict[str, int], bus: str) -> str:
    """Return the next free device name of a bus: vda, sdb, hda."""
    prefix = DEVICE[bus]
    index = taken.get(prefix, 0)
    taken[prefix] = index + 1
    return prefix + chr(ord("a") + index)


def _add_disk(
    devices: ElementTree.Element, disk: Disk, path: str, device: str
) -> None:
    kind = "volume" if disk.volume else "file"
    element = _add(devices, "disk", type=kind, device="disk")
    _add(element, "driver", name="qemu", type=disk.format)
    if disk.volume:
        name = path.rpartition("/")[2]
        _add(element, "source", pool="default", volume=name)
    else:
        _add(element, "source", file=path)
    _add(element, "target", dev=device, bus=disk.bus)
    for flag in ("readonly", "shareable", "transient"):
        if getattr(disk, flag):
            _add(element, flag)


def _add_cdrom(
    devices: ElementTree.Element, medium: str, bus: str, device: str
) -> None:
    element = _add(devices, "disk", type="file", device="cdrom")
    _add(element, "driver", name="qemu", type="raw")
    if medium != "empty":
        _add(element, "source", file=medium)
    _add(element, "target", dev=device, bus=bus)
    _add(element, "readonly")


def _add_serials(devices: ElementTree.Element, domain: Domain) -> None:
    """Add the console's log and the shell, on two ports in this order."""
    log = _add(devices, "serial", type="file")
    _add(log, "source", path=f"{SERIAL}/{domain.name}.log", append="off")
    _add(log, "target", port="0")
    shell = _add(devices, "serial", type="unix")
    _add(shell, "source", mode="bind", path=f"{SERIAL}/{domain.name}.shell")
    _add(shell, "target", port="1")


def _make_disk(host: Host, disk: Disk, path: str, number: int) -> None:
    label = f"data{number}" if disk.formatted else ""
    template = _template(disk.format, disk.size_mib, label)
    target = host.path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "--sparse=always", template, target], check=True)


def _template(format_: str, size_mib: int, label: str) -> pathlib.Path:
    """Return an image to copy, made once for all domains."""
    folder = roots.lab_dir() / "disks"
    image = folder / f"{label or 'blank'}-{size_mib}.{format_}"
    with roots.locked(image):
        if not image.exists():
            raw = image.with_suffix(".raw.unfinished")
            with raw.open("wb") as file:
                file.truncate(size_mib * 2**20)
            if label:
                mkfs = ["mkfs.ext4", "-q", "-F", "-m", "0", "-L", label]
                subprocess.run([*mkfs, raw], check=True)
            unfinished = image.with_suffix(f".{format_}.converted")
            convert = ["qemu-img", "convert", "-f", "raw", "-O", format_]
            subprocess.run([*convert, raw, unfinished], check=True)
            raw.unlink()
            shutil.move(unfinished, image)
    return image
