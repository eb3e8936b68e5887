# SPDX-License-Identifier: Apache-2.0
"""
Tasks: operations that outlive their request, and who carries them out.

``operation`` says what an operation is; ``table`` keeps the tasks, ``workers``
carry them out, and ``context`` is what an operation sees of its task.
"""
