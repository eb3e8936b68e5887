# SPDX-License-Identifier: Apache-2.0
"""The guest's kernels and initramfs, made of a root's own packages.

What the guest does is written in ``initramfs/``. This module adds the
parts that come from Debian or Ubuntu: busybox, the guest agent with its
libraries, the modules. Built once for each root and content.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import pathlib
import re
import shutil
import subprocess

from tests.lab import roots

HERE = pathlib.Path(__file__).parent
SKELETON = HERE / "initramfs"

# What a kernel has built in, or does not have, is left out.
MODULES = (
    "virtio_pci",
    "crc32c_generic",
    "ext4",
    "virtio_blk",
    "virtio_console",
    "virtio_balloon",
    "sd_mod",
    "sr_mod",
    "virtio_scsi",
    "ahci",
    "ata_piix",
    "efivarfs",
    "isofs",
    "button",
    "evdev",
)


def ensure(root: pathlib.Path) -> pathlib.Path:
    """Return a folder with a ``vmlinuz`` and ``initrd`` for each kernel."""
    name = f"{root.name}-{_fingerprint()}"
    folder = roots.lab_dir() / "guests" / name
    with roots.locked(folder):
        if not folder.exists():
            unfinished = folder.with_name(name + ".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            _build(root, unfinished)
            unfinished.rename(folder)
    return folder


def _fingerprint() -> str:
    digest = hashlib.sha256(pathlib.Path(__file__).read_bytes())
    for path in sorted(SKELETON.rglob("*")):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def _build(root: pathlib.Path, folder: pathlib.Path) -> None:
    for kernel in (root / roots.KERNELS).iterdir():
        tree = folder / "tree"
        shutil.copytree(SKELETON, tree)
        for path in tree.rglob("*"):
            path.chmod(0o755)
        _copy_programs(root, tree)
        _copy_modules(root, kernel, tree / "modules")
        target = folder / kernel.name
        target.mkdir()
        _pack(tree, target / "initrd")
        # In boot/, or among the modules in newer releases.
        vmlinuz = next(kernel.rglob("vmlinuz*"))
        shutil.copyfile(vmlinuz, target / "vmlinuz")
        shutil.rmtree(tree)


def _copy_programs(root: pathlib.Path, tree: pathlib.Path) -> None:
    agent = "/usr/sbin/qemu-ga"
    for name in ("/bin/busybox", agent, *_libraries(root, agent)):
        _copy(root, name, tree)
    # The agent calls it by this path to set the clock.
    (tree / "sbin/hwclock").symlink_to("/bin/busybox")
    (tree / "var").mkdir()


def _copy(root: pathlib.Path, name: str, tree: pathlib.Path) -> None:
    target = tree / name.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(_inside(root, name), target)


def _inside(root: pathlib.Path, name: str) -> pathlib.Path:
    """Follow the links of a path as they read from inside *root*."""
    path = root / name.lstrip("/")
    while path.is_symlink():
        link = path.readlink()
        base = root if link.is_absolute() else path.parent
        path = base / str(link).lstrip("/")
    return path


def _libraries(root: pathlib.Path, program: str) -> list[str]:
    listed = subprocess.run(
        ["chroot", str(root), "ldd", program],
        check=True,
        capture_output=True,
        text=True,
    )
    return re.findall(r"(/\S+) \(0x", listed.stdout)


def _copy_modules(
    root: pathlib.Path, kernel: pathlib.Path, target: pathlib.Path
) -> None:
    """Copy the modules, and note the order they can be loaded in."""
    target.mkdir()
    (tree,) = (kernel / "lib/modules").iterdir()
    order = []
    for path in _with_dependencies(tree):
        name = path.name.partition(".ko")[0] + ".ko"
        (target / name).write_bytes(_unpacked(root, path))
        order.append(name)
    (target / "order").write_text("".join(f"{name}\n" for name in order))


def _with_dependencies(tree: pathlib.Path) -> list[pathlib.Path]:
    """Return the wanted modules, each after those that it needs."""
    needed: dict[str, list[str]] = {}
    for line in (tree / "modules.dep").read_text().splitlines():
        path, _, others = line.partition(": ")
        name = pathlib.Path(path.rstrip(":")).name.partition(".ko")[0]
        # depmod lists the nearest first; they are loaded farthest first.
        needed[name] = [*reversed(others.split()), path.rstrip(":")]
    paths = [path for name in MODULES for path in needed.get(name, [])]
    return [tree / path for path in dict.fromkeys(paths)]


def _unpacked(root: pathlib.Path, path: pathlib.Path) -> bytes:
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix == ".zst":
        return subprocess.run(
            ["chroot", str(root), "zstd", "-dc"],
            check=True,
            input=path.read_bytes(),
            capture_output=True,
        ).stdout
    return path.read_bytes()


def _pack(tree: pathlib.Path, target: pathlib.Path) -> None:
    archive = subprocess.run(
        "find . | cpio --quiet -o -H newc -R 0:0",
        shell=True,
        cwd=tree,
        check=True,
        capture_output=True,
    ).stdout
    target.write_bytes(gzip.compress(archive, compresslevel=1))
