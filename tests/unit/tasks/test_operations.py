# SPDX-License-Identifier: Apache-2.0
"""The operations of a service, by their names."""

import pytest

from hawkfish_plugin.tasks.operation import Operations
from tests.unit.tasks.tables import operation


def test_each_operation_is_listed_twice():
    """What is known by its name is carried out, and nothing else is."""
    one, other = (operation(name, None, None) for name in ('one', 'other'))
    operations = Operations(one, other)

    assert operations.complete({'one': type(one), 'other': type(other)})
    for kinds in ({'one': type(one)}, {'one': type(one), 'more': type(one)}):
        with pytest.raises(TypeError):
            operations.complete(kinds)
    with pytest.raises(TypeError):
        operations.complete({'one': type(other), 'other': type(one)})
