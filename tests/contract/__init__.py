# SPDX-License-Identifier: Apache-2.0
import pytest

for _module in (
    'bundling',
    'reading',
    'changing',
    'interrupting',
    'grouping',
    'outcomes',
    'unsafe',
):
    pytest.register_assert_rewrite(f'tests.contract.{_module}')
