# SPDX-License-Identifier: Apache-2.0
"""
The systems of a hypervisor, as the emulator has them too.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import libvirt

from hawkfish_plugin.drivers import contract, sharing
from hawkfish_plugin.drivers.libvirt import domains, errors, filenames, xml
from hawkfish_plugin.drivers.libvirt.part import Part

_DRIVES = {'cdrom': 'Cd', 'floppy': 'Floppy'}


class Systems(Part):
    """
    See ``contract.ServesSystems``, and ``SharesDefinitions``,
    ``RemembersImages`` and ``KnowsVersion`` of ``sharing``.
    """

    def resolve(self, identity: str) -> contract.System:
        with self._hypervisor.host('look-up') as host:
            domain = domains.find_any(host, identity)
            return contract.System(domain.uuid, domain.name)

    def systems(self) -> Sequence[contract.System]:
        with self._hypervisor.host('list') as host:
            return [
                contract.System(domain.uuid, domain.name)
                for domain in domains.all_of(
                    host, libvirt.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT
                )
            ]

    def power_states(self) -> Mapping[contract.System, str]:
        found = {}
        with self._hypervisor.host('list') as host:
            for domain in domains.all_of(host):
                # One may be undefined meanwhile.
                with errors.ignored(host.connection):
                    system = contract.System(domain.uuid, domain.name)
                    if not self.is_own(system.uuid):
                        found[system] = domain.power_state
        return found

    def connection_losses(self) -> int:
        return self._hypervisor.connection_losses()

    def known_version(self) -> str | None:
        return self._hypervisor.version

    def changes_when_read(self, uuid: str) -> bool:
        with self._hypervisor.domain(uuid, 'look-up') as domain:
            definition = domain.definition(inactive=True)
        return not xml.has_emulator_defaults(definition)

    def remember_images(
        self, notes: Callable[[], sharing.FarImageNotes]
    ) -> None:
        self._hypervisor.far_images.keep_in(notes)

    def is_own(self, uuid: str) -> bool:
        return filenames.is_own_domain(uuid)

    def removable_media(self, uuid: str) -> Mapping[str, str]:
        with self._hypervisor.domain(uuid, 'look-up') as domain:
            definition = domain.definition(inactive=True)
        return {
            _DRIVES[disk.device]: disk.path
            for disk in xml.disks(definition)
            if disk.device in _DRIVES and disk.path
        }


if TYPE_CHECKING:
    _serves: type[contract.ServesSystems] = Systems
    _shares: type[sharing.SharesDefinitions] = Systems
    _remembers: type[sharing.RemembersImages] = Systems
    _knows: type[sharing.KnowsVersion] = Systems
