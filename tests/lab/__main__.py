# SPDX-License-Identifier: Apache-2.0
"""The lab by hand: build it, bring hosts up, take them down."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
from collections.abc import Callable

from tests.lab import domains, guest, prerequisites, roots, shell
from tests.lab.apt import NoMirror
from tests.lab.host import Host, HostError, names
from tests.lab.layers import MountError
from tests.lab.roots import BuildError


def check(_: argparse.Namespace) -> None:
    """Say what this machine lacks for the lab."""
    found = prerequisites.problems()
    if found:
        sys.exit("\n".join(found))
    print("This machine has what the lab needs.")


def build(arguments: argparse.Namespace) -> None:
    """Build the root and the guest of releases, once."""
    for name in arguments.release or roots.default():
        root = roots.ensure(name)
        guest.ensure(root)
        print(f"{name}: {root}")


def up(arguments: argparse.Namespace) -> None:
    """Start a host with booted domains, and leave it running."""
    host = Host(arguments.name, arguments.release)
    host.start(keep=True)
    try:
        for name in arguments.domain:
            domain = domains.Domain(name, firmware=arguments.firmware)
            domains.define(host, domain)
            with contextlib.closing(host.connect()) as connection:
                connection.lookupByName(name).create()
        for name in arguments.domain:
            shell.Guest(host, name).wait_booted()
    except BaseException:
        host.stop()
        raise
    print(host.uri)


def down(arguments: argparse.Namespace) -> None:
    """Stop hosts, and remove all that they had."""
    for name in arguments.name:
        Host.attach(name).stop()


def list_hosts(_: argparse.Namespace) -> None:
    """Print the name, release and address of every host."""
    for name in names():
        host = Host.attach(name)
        print(f"{name}\t{host.release}\t{host.uri}")


def clean(_: argparse.Namespace) -> None:
    """Remove everything that was ever built; no host may be up."""
    if names():
        raise HostError(f"take down first: {' '.join(names())}")
    shutil.rmtree(roots.lab_dir(), ignore_errors=True)


def main() -> None:
    """Run one command of the lab."""
    parser = argparse.ArgumentParser(
        "python -m tests.lab", description=__doc__
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, function: Callable[[argparse.Namespace], None]
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(
            name, help=function.__doc__, description=function.__doc__
        )
        added.set_defaults(function=function)
        return added

    known = sorted(roots.releases())
    command("check", check)
    command("build", build).add_argument(
        "release", nargs="*", help=f"of: {', '.join(known)}"
    )
    starting = command("up", up)
    starting.add_argument("name")
    starting.add_argument("--release", choices=known)
    starting.add_argument("--domain", action="append", default=[])
    starting.add_argument(
        "--firmware", choices=["bios", "uefi"], default="bios"
    )
    command("down", down).add_argument("name", nargs="+")
    command("list", list_hosts)
    command("clean", clean)
    arguments = parser.parse_args()
    try:
        arguments.function(arguments)
    except (HostError, MountError, BuildError, NoMirror) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
