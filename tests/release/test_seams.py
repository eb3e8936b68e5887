# SPDX-License-Identifier: Apache-2.0
"""
The type checker sees through every seam, from HTTP down to the drivers.

In a copy of the package every method of a seam gets another name where it is
defined, and nowhere else: each use of it must then be an error.  Long, as
there is an entry for each seam.

Long, as it lists every seam.
"""

import ast
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from hawkfish_plugin.wiring import work

ROOT = pathlib.Path(__file__).parents[2]
PACKAGE = 'hawkfish_plugin'
ERROR = re.compile(r'(?P<path>[^:]+):(?P<line>\d+): error: ')

# The module and the class, what its instances are called where they are used,
# and the folder of the package in which they are called that.
SEAMS = {
    'contract.ServesSystems': (
        'drivers/contract.py',
        'ServesSystems',
        '_driver driver',
        '',
    ),
    'contract.ListsSnapshots': (
        'drivers/contract.py',
        'ListsSnapshots',
        '_driver driver',
        '',
    ),
    'contract.ChangesSnapshots': (
        'drivers/contract.py',
        'ChangesSnapshots',
        '_driver driver',
        '',
    ),
    'sharing.SharesDefinitions': (
        'drivers/sharing.py',
        'SharesDefinitions',
        'driver',
        'emulator',
    ),
    'sharing.KnowsVersion': (
        'drivers/sharing.py',
        'KnowsVersion',
        'driver',
        'emulator',
    ),
    'sharing.RemembersImages': (
        'drivers/sharing.py',
        'RemembersImages',
        'driver',
        '',
    ),
    'sharing.FarImageNotes': (
        'drivers/sharing.py',
        'FarImageNotes',
        'notes',
        '',
    ),
    'sharing.FindsUnsafe': (
        'drivers/sharing.py',
        'FindsUnsafe',
        '_driver',
        'operations',
    ),
    'sharing.LeavesFiles': (
        'drivers/sharing.py',
        'LeavesFiles',
        '_driver',
        '',
    ),
    'exporting.Exports': (
        'drivers/exporting.py',
        'Exports',
        'driver bundling',
        '',
    ),
    'importing.Imports': (
        'drivers/importing.py',
        'Imports',
        'driver _importing',
        '',
    ),
    'importing.ImportsOver': (
        'drivers/importing.py',
        'ImportsOver',
        'putting_over',
        'operations',
    ),
    'backups.BacksUp': (
        'drivers/backups.py',
        'BacksUp',
        'driver backing_up',
        '',
    ),
    'BackupCatalogue': (
        'backup_catalogue.py',
        'BackupCatalogue',
        '_backups',
        'operations',
    ),
    'Backups': ('backups.py', 'Backups', '_backup_table', ''),
    'verifying.Verifies': (
        'drivers/verifying.py',
        'Verifies',
        'driver _verifying',
        '',
    ),
    'ExportCatalogue': (
        'export_catalogue.py',
        'ExportCatalogue',
        'exports',
        'api',
    ),
    'contract.Journal': (
        'drivers/contract.py',
        'Journal',
        'journal',
        'drivers',
    ),
    'contract.TaskContext': (
        'drivers/contract.py',
        'TaskContext',
        '_context context',
        'drivers',
    ),
    'Context': ('tasks/context.py', 'Context', 'context', 'operations'),
    'View': ('catalogue.py', 'View', 'view', ''),
    'GroupView': ('groups/views.py', 'GroupView', 'whole', ''),
    'GroupCatalogue': (
        'groups/catalogue.py',
        'GroupCatalogue',
        'groups _groups',
        'api',
    ),
    'Groups': (
        'groups/table.py',
        'Groups',
        'group_table _table',
        'operations',
    ),
    'Catalogue': ('catalogue.py', 'Catalogue', '_catalogue catalogue', ''),
    'services.Shared': ('services.py', 'Shared', 'services _services', ''),
    'services.ForEmulator': (
        'services.py',
        'ForEmulator',
        'services _services',
        '',
    ),
    'services.ForApi': ('services.py', 'ForApi', 'services _services', ''),
    'Tasks': ('tasks/table.py', 'Tasks', '_tasks tasks', ''),
    'TaskReader': (
        'tasks/reading.py',
        'TaskReader',
        '_tasks tasks',
        '',
    ),
    'Claims': ('tasks/claims.py', 'Claims', 'claims', ''),
    'Ends': ('tasks/ends.py', 'Ends', 'ends', ''),
    'Operation': ('tasks/operation.py', 'Operation', 'operation', 'tasks'),
    'Operations': ('tasks/operation.py', 'Operations', 'operations', ''),
    'Admission': ('operations/admission.py', 'Admission', '_admission', ''),
    'CreateRoom': ('operations/room.py', 'CreateRoom', '_room', ''),
    'GroupAdmission': (
        'operations/group_admission.py',
        'GroupAdmission',
        '_group_admission',
        '',
    ),
    'GroupSafety': (
        'operations/group_safety.py',
        'GroupSafety',
        '_safety',
        'operations',
    ),
    'Outcome': (
        'operations/group_outcome.py',
        'Outcome',
        'outcome',
        'operations',
    ),
    'Create': ('operations/create.py', 'Create', '_create Create', ''),
    'Revert': ('operations/revert.py', 'Revert', 'Revert', ''),
    'Delete': ('operations/delete.py', 'Delete', '_delete Delete', ''),
    'Purge': ('operations/purge.py', 'Purge', 'Purge', ''),
    'Repair': ('operations/repair.py', 'Repair', 'repair', 'api'),
    'Import': (
        'operations/importing.py',
        'Import',
        'importing _single',
        '',
    ),
    'GroupCreate': (
        'operations/group_create.py',
        'GroupCreate',
        'GroupCreate create',
        'api',
    ),
    'GroupDelete': (
        'operations/group_delete.py',
        'GroupDelete',
        'GroupDelete _group_delete',
        '',
    ),
    'RestoreBackup': (
        'operations/backup_restore.py',
        'RestoreBackup',
        'restore',
        'api',
    ),
    'RestoreOver': (
        'operations/restore_over.py',
        'RestoreOver',
        'restore_over',
        'api',
    ),
    'DeleteBackups': (
        'operations/backup_delete.py',
        'DeleteBackups',
        'delete',
        'api',
    ),
    'VerifyBackup': (
        'operations/backup_verify.py',
        'VerifyBackup',
        'verify',
        'api',
    ),
    'GroupImport': (
        'operations/group_import.py',
        'GroupImport',
        '_group',
        'operations',
    ),
    'ImportOver': (
        'operations/import_over.py',
        'ImportOver',
        '_over',
        'operations',
    ),
    'Prune': ('operations/prune.py', 'Prune', '_prune prune', ''),
    'GroupPrune': (
        'operations/group_prune.py',
        'GroupPrune',
        '_group_prune',
        'operations',
    ),
    'Findings': (
        'operations/findings.py',
        'Findings',
        'findings _findings',
        '',
    ),
    'Policies': (
        'retention/policies.py',
        'Policies',
        '_policies policies',
        '',
    ),
    'Notes': ('notes.py', 'Notes', '_notes', ''),
}


def defined(tree, name):
    """What a class gives to its users: each name, and where it stands."""
    (found,) = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name == name
    )
    for node in found.body:
        if isinstance(node, ast.FunctionDef):
            public, line = node.name, node.lineno
        elif isinstance(node, ast.AnnAssign):
            public, line = node.target.id, node.lineno
        else:
            continue
        if not public.startswith('_'):
            yield public, line


def rename(path, name):
    """Rename what a class of *path* defines; returns the old names."""
    source = path.read_text()
    lines = source.splitlines(keepends=True)
    names = dict(defined(ast.parse(source), name))
    for old, line in names.items():
        lines[line - 1] = re.sub(
            rf'\b{old}\b', f'{old}_renamed', lines[line - 1], count=1
        )
    path.write_text(''.join(lines))
    return set(names)


def receiver(node):
    """The last name in what an attribute is taken of."""
    value = node.value
    while isinstance(value, ast.Call):
        # An operation is asked for by its class.
        if getattr(value.func, 'id', None) == 'operation':
            value = value.args[0]
        else:
            value = value.func
    return getattr(value, 'attr', getattr(value, 'id', None))


def is_module(name, source):
    """Whether *source* imports a module, or part of one, of that name."""
    imported = f'import {name}\n' in source or f'    {name},\n' in source
    return imported and name.islower()


def of_another_type(tree, name):
    """The lines of functions with a parameter of the name, not the type."""
    for node in ast.walk(tree):
        for argument in getattr(getattr(node, 'args', None), 'args', ()):
            declared = ast.unparse(argument.annotation or ast.Name(name))
            if declared.rpartition('.')[2].strip("'") not in (name, 'Any'):
                for line in range(node.lineno, (node.end_lineno or 0) + 1):
                    yield argument.arg, line


def uses(package, names, name, receivers, folder):
    """Where a folder takes one of *names*, the class's, of a receiver."""
    for path in (package / folder).rglob('*.py'):
        source = path.read_text()
        tree = ast.parse(source)
        others = set(of_another_type(tree, name))
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and node.attr in names
                and receiver(node) in receivers
                and not is_module(receiver(node), source)
                and (receiver(node), node.end_lineno) not in others
            ):
                yield str(path.relative_to(package.parent)), node.end_lineno


@pytest.fixture(scope='module')
def package(tmp_path_factory):
    """A copy of the package that the type checker has seen."""
    folder = tmp_path_factory.mktemp('seams')
    shutil.copytree(
        ROOT / PACKAGE,
        folder / PACKAGE,
        ignore=shutil.ignore_patterns('__pycache__'),
    )
    shutil.copy(ROOT / 'pyproject.toml', folder)
    assert not check(folder)
    return folder


def check(folder):
    """The places of the errors that the type checker finds."""
    done = subprocess.run(
        [sys.executable, '-m', 'mypy', '--hide-error-context'],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = map(ERROR.match, done.stdout.splitlines())
    return {(m['path'], int(m['line'])) for m in found if m}


def protocols(path):
    """Those of a module that have something of their own."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any(
            isinstance(base, ast.Name) and base.id == 'Protocol'
            for base in node.bases
        ):
            if [*defined(tree, node.name)]:
                yield node.name


def of_operations():
    """Those that are not listed, which requests reach by their class."""
    listed = {seam[:2] for seam in SEAMS.values()}
    for kind in work.KINDS.values():
        module = kind.__module__.removeprefix(f'{PACKAGE}.')
        path, name = f'{module.replace(".", "/")}.py', kind.__name__
        if (path, name) not in listed:
            yield name, (path, name, name, 'api')


EVERY = {**SEAMS, **dict(of_operations())}


def test_every_driver_protocol_is_tried():
    expected = {
        (f'drivers/{path.name}', name)
        for path in (ROOT / PACKAGE / 'drivers').glob('*.py')
        for name in protocols(path)
    }

    assert expected <= {seam[:2] for seam in SEAMS.values()}


@pytest.mark.parametrize('seam', EVERY)
def test_a_renamed_method_is_an_error_wherever_it_is_used(package, seam):
    """Nothing behind a seam is of any type."""
    module, name, receivers, folder = EVERY[seam]
    path = package / PACKAGE / module
    original = path.read_text()
    try:
        names = rename(path, name)
        found = check(package)
        used = set(
            uses(package / PACKAGE, names, name, receivers.split(), folder)
        )
    finally:
        path.write_text(original)

    assert used
    assert sorted(used - found) == []
