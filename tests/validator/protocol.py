# SPDX-License-Identifier: Apache-2.0
"""
The DMTF's protocol validator, over a defect of it.

It takes the ServiceEntryPointUUID of a manager for a string, and dies of the
null that the emulator's fake manager has there.
"""

from redfish_protocol_validator import console_scripts, resources


def without_nulls(function):
    return lambda sut, data: function(
        sut, {name: value for name, value in data.items() if value is not None}
    )


if __name__ == '__main__':
    for name in ('set_mfr_model_fw', 'set_mgr_net_proto_uri'):
        setattr(resources, name, without_nulls(getattr(resources, name)))
    console_scripts.main()
