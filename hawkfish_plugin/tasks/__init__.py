# SPDX-License-Identifier: Apache-2.0
"""
Tasks: operations that outlive their request, and who carries them out.

``operation`` says what an operation is.  ``table`` takes what is asked for,
and ``reading`` tells of it.  ``workers`` are the threads: they take a task by
``claims``, carry it out by ``execution``, and write its end by ``ends``.
``context`` is what an operation sees of its task.
"""
