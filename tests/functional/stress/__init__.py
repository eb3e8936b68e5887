# SPDX-License-Identifier: Apache-2.0
"""
Random rounds over everything that is done to a tree of two systems.

A round is an operation of the service, or an act of an operator, of ``virsh``
or of the emulator, with QEMU, libvirtd or the emulator killed at a random
moment.  ``model`` says what everything must read afterwards, ``checks``
compares.  ``python -m tests.functional.stress --help`` runs it.

The guests have no operating system: the test itself writes to their disks.

What destroys data in a way that no service can see is left out:

- writing to a file that a snapshot holds, or committing into one;
- replacing such a file by another of the same name;
- a linked clone in a folder that nothing leads to: no definition, no backing
  file and no storage pool;
- reverts and merging deletes by libvirt itself (``virsh snapshot-revert``,
  ``virsh snapshot-delete``), which lose data on their own; see
  ``tests/functional/test_losses.py`` for what they leave to the service;
- starting a system by ``virsh`` while its definition is one of before its
  snapshots; the emulator's own start is refused, and is tried.
"""
