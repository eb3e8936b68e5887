# SPDX-License-Identifier: Apache-2.0
"""The options that say where the service is, as each module documents them."""


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  url:
    description:
      - URL of the emulator. By default that of E(HAWKFISH_URL).
    type: str
  username:
    description:
      - User for HTTP Basic authentication. By default that of
        E(HAWKFISH_USERNAME).
    type: str
  password:
    description:
      - Password of that user. By default that of E(HAWKFISH_PASSWORD).
    type: str
  ca_file:
    description:
      - File with the CA certificates to verify the emulator with.
    type: path
  validate_certs:
    description:
      - Whether to verify the certificate of the emulator.
    type: bool
    default: true
  timeout:
    description:
      - Seconds to wait for an operation. It goes on afterwards.
    type: int
    default: 3600
requirements:
  - hawkfish-snapshots
attributes:
  check_mode:
    description: Tells what would change, and changes nothing.
    support: full
  diff_mode:
    description: Shows what differs.
    support: full
"""
