# SPDX-License-Identifier: Apache-2.0
"""
What can be asked about tasks.

Owns the SQL that reads the tables ``tasks`` and ``task_subjects``.
"""

import json
from collections.abc import Collection, Sequence

from hawkfish_plugin import attention, db, exceptions
from hawkfish_plugin.tasks.ending import IS_TO_FOLLOW
from hawkfish_plugin.tasks.task import Head, Task, read_heads, read_tasks


class TaskReader:
    """
    The tasks in *database*.

    *attention* has the systems that those left in the middle.
    """

    def __init__(self, database: db.Database) -> None:
        self._db = database
        self.attention = attention.Attention(database)

    def get(self, task_id: int) -> Task:
        """Raises TaskNotFound."""
        found = self._select('WHERE id = ?', task_id)
        if not found:
            raise exceptions.TaskNotFound(task_id)
        return found[0]

    def list(self) -> Sequence[Task]:
        """Every task that is remembered, oldest first."""
        return self._select('')

    def sub_tasks(self, task_id: int) -> Sequence[Task]:
        """The sub-tasks of a task, oldest first."""
        return self._select('WHERE parent = ?', task_id)

    def heads(self, parent: int | None = None) -> Sequence[Head]:
        """Those of every task, or of the sub-tasks of one, oldest first."""
        with self._db.reading() as connection:
            rows = connection.execute(
                'SELECT id, above FROM tasks '
                'WHERE ?1 IS NULL OR parent = ?1 ORDER BY id',
                (parent,),
            ).fetchall()
            return read_heads(connection, rows)

    def load(self, heads: Sequence[Head]) -> Sequence[Task]:
        """The tasks of *heads* that are still remembered, oldest first."""
        return self._select(
            'WHERE id IN (SELECT value FROM json_each(?))',
            json.dumps([head.id for head in heads]),
        )

    def has_waiting(self, task_id: int) -> bool:
        """Whether any sub-task of a task has not begun."""
        return bool(
            self._db.query(
                "SELECT 1 FROM tasks WHERE parent = ? AND state = 'New' "
                'LIMIT 1',
                task_id,
            )
        )

    def has_sub_tasks(self) -> frozenset[int]:
        """The ids of the tasks that have sub-tasks."""
        rows = self._db.query(
            'SELECT DISTINCT parent FROM tasks WHERE parent IS NOT NULL'
        )
        return frozenset(row['parent'] for row in rows)

    def active(self, system: str) -> dict[str | None, Task]:
        """
        The active tasks of one system, by the snapshot that they work on.

        None stands for the system itself.  Left out are those that share it,
        or take no lock: they keep nobody from anything.
        """
        return {
            subject.snapshot: task
            for task in self._active(system)
            for subject in task.subjects
            if subject.system.uuid == system
        }

    def _active(self, system: str) -> Sequence[Task]:
        return self._select(
            'WHERE id IN (SELECT task FROM task_subjects '
            "WHERE system = ? AND active AND lock = 'exclusive')",
            system,
        )

    def working(self, operations: Collection[str]) -> Sequence[Task]:
        """The active tasks of *operations*, given by their names."""
        return self._select(
            'WHERE ended IS NULL AND operation IN ('
            'SELECT value FROM json_each(?))',
            json.dumps(list(operations)),
        )

    def unsettled(self, system: str) -> Task | None:
        """
        The interrupted task that may have left *system* half changed.

        For who holds the lock of the system: whoever works on it would hold
        it, so a task that has begun without it was interrupted.
        """
        found = self._select(
            "WHERE step <> '' AND state <> 'New' AND id IN ("
            'SELECT task FROM task_subjects '
            "WHERE system = ? AND active AND lock = 'exclusive')",
            system,
        )
        return found[0] if found else None

    def waited(self, task: Task) -> float:
        """The seconds since *task* was submitted."""
        return self._db.steady() - (task.queued or task.created)

    def any_active(self) -> bool:
        """Whether any task waits or runs."""
        return bool(
            self._db.query('SELECT 1 FROM task_subjects WHERE active LIMIT 1')
        )

    def _select(self, where: str, *args: object) -> Sequence[Task]:
        with self._db.reading() as connection:
            return read_tasks(
                connection,
                connection.execute(
                    f'SELECT * FROM tasks {where} ORDER BY id',  # noqa: S608
                    args,
                ).fetchall(),
            )

    def ended(self, task_ids: Collection[int]) -> frozenset[int]:
        """Those of the tasks that have ended, or are forgotten."""
        rows = self._db.query(
            'SELECT id FROM tasks WHERE ended IS NULL AND id IN ('
            'SELECT value FROM json_each(?))',
            json.dumps(list(task_ids)),
        )
        return frozenset(task_ids) - {row['id'] for row in rows}

    def to_follow(self) -> Sequence[Task]:
        """The ended tasks after which something is still to be done."""
        return self._select(f'WHERE ended IS NOT NULL AND {IS_TO_FOLLOW}')
