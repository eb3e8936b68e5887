# SPDX-License-Identifier: Apache-2.0
"""The modules import downwards only, as the imports themselves say."""

import ast
import graphlib
import pathlib
import re

import pytest

import hawkfish_plugin
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.wiring import work

PACKAGE = 'hawkfish_plugin'
ROOT = pathlib.Path(hawkfish_plugin.__file__).parent

MOST_LINES = 400

# The longest entry that a module's name begins with is the module's own.
LAYERS = {
    'hawkfish_plugin': 9,
    'hawkfish_plugin.plugin': 8,
    'hawkfish_plugin.wiring': 8,
    'hawkfish_plugin.program': 7,
    'hawkfish_plugin.wsgi': 8,
    'hawkfish_plugin.cli': 8,
    'hawkfish_plugin.ironic': 8,
    'hawkfish_plugin.pytest_plugin': 8,
    'hawkfish_plugin.emulator': 7,
    'hawkfish_plugin.api': 6,
    'hawkfish_plugin.services': 5,
    'hawkfish_plugin.operations': 5,
    'hawkfish_plugin.sweeping': 5,
    'hawkfish_plugin.catalogue': 5,
    'hawkfish_plugin.export_catalogue': 5,
    'hawkfish_plugin.backup_catalogue': 5,
    'hawkfish_plugin.redfish': 5,
    'hawkfish_plugin.survey': 5,
    'hawkfish_plugin.metrics': 5,
    'hawkfish_plugin.tasks': 4,
    'hawkfish_plugin.events': 3,
    'hawkfish_plugin.sessions': 3,
    'hawkfish_plugin.notes': 3,
    'hawkfish_plugin.groups': 5,
    'hawkfish_plugin.groups.table': 3,
    'hawkfish_plugin.groups.forecast': 1,
    'hawkfish_plugin.exports': 3,
    'hawkfish_plugin.backups': 3,
    'hawkfish_plugin.uploads': 3,
    'hawkfish_plugin.clones': 3,
    'hawkfish_plugin.attention': 3,
    'hawkfish_plugin.health': 3,
    'hawkfish_plugin.totals': 3,
    'hawkfish_plugin.retention': 3,
    'hawkfish_plugin.drivers.libvirt': 2,
    'hawkfish_plugin.drivers.fake': 2,
    'hawkfish_plugin.drivers': 1,
    'hawkfish_plugin.bundles': 1,
    'hawkfish_plugin.tree': 1,
    'hawkfish_plugin.names': 1,
    'hawkfish_plugin.retention.rules': 1,
    'hawkfish_plugin.redfish.events': 3,
    'hawkfish_plugin.redfish.uris': 1,
    'hawkfish_plugin.redfish.common': 1,
    'hawkfish_plugin.redfish.errors': 1,
    'hawkfish_plugin.redfish.filters': 1,
    'hawkfish_plugin.redfish.schemas': 1,
    'hawkfish_plugin.messages': 1,
    'hawkfish_plugin.db': 1,
    'hawkfish_plugin.locks': 1,
    'hawkfish_plugin.supervision': 1,
    'hawkfish_plugin.deadlines': 1,
    'hawkfish_plugin.client': 1,
    'hawkfish_plugin.emulator.internals': 0,
    'hawkfish_plugin.records': 0,
    'hawkfish_plugin.allowed': 1,
    'hawkfish_plugin.rooms': 1,
    'hawkfish_plugin.json_logs': 1,
    'hawkfish_plugin.bounds': 0,
    'hawkfish_plugin.conf': 0,
    'hawkfish_plugin.exceptions': 0,
}
# What events look like is theirs in all but its place: their delivery sends
# what it makes of them.
BELONGS_TO = {'hawkfish_plugin.redfish.events': 'hawkfish_plugin.events'}
# The error classes of a library may be named where they are caught.
HTTP = {'requests', 'sushy', 'urllib', 'urllib3', 'http', 'socket'}
HTTP_BUT_NO_REQUESTS = {'sushy.exceptions', 'urllib.parse'}


def name_of(path):
    parts = (PACKAGE, *path.relative_to(ROOT).with_suffix('').parts)
    return '.'.join(parts).removesuffix('.__init__')


MODULES = {name_of(path): path for path in sorted(ROOT.rglob('*.py'))}
CLIENTS = [
    module
    for module in MODULES
    if f'{module}.'.startswith((f'{PACKAGE}.cli.', f'{PACKAGE}.ironic.'))
]


def is_for_types(node):
    return isinstance(node, ast.If) and (
        getattr(node.test, 'id', '') == 'TYPE_CHECKING'
    )


def walk(node, with_types):
    """Every node below *node*, those under TYPE_CHECKING if asked for."""
    for child in ast.iter_child_nodes(node):
        if with_types or not is_for_types(child):
            yield child
            yield from walk(child, with_types)


def imports(source, with_types=True):
    """The modules, and names in modules, that *source* imports."""
    for node in walk(ast.parse(source), with_types):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, 'imports are absolute here'
            yield from (f'{node.module}.{a.name}' for a in node.names)


def layer(name):
    while name not in LAYERS:
        name = name.rpartition('.')[0]
    return LAYERS[name]


def module_of(imported):
    """The module of ours that an imported name is, or is in."""
    while imported not in MODULES:
        imported = imported.rpartition('.')[0]
    return imported


def arrows_up(module, source):
    return [
        f'{module} ({layer(module)}) -> {target} ({layer(target)})'
        for target in map(
            module_of,
            (i for i in imports(source) if i.split('.')[0] == PACKAGE),
        )
        if layer(target) > layer(module)
    ]


def requests_used(source):
    """What *source* uses of the requests library, but its errors."""
    return {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and getattr(node.value, 'id', '') == 'requests'
        and not node.attr.endswith('Error')
    }


@pytest.mark.parametrize('module', MODULES)
def test_no_arrow_points_up(module):
    """A module imports from its own layer and those below it only."""
    assert not arrows_up(module, MODULES[module].read_text())


def test_an_arrow_that_points_up_is_seen():
    """An import inside a function or for types alone counts as well."""
    source = 'def f():\n    from hawkfish_plugin import tasks\n'

    assert arrows_up('hawkfish_plugin.db', source)
    assert arrows_up('hawkfish_plugin.db', 'import hawkfish_plugin.cli.app')
    assert not arrows_up('hawkfish_plugin.catalogue', source)


def package(module):
    """The package, or the module, at the top that *module* belongs to."""
    return '.'.join(BELONGS_TO.get(module, module).split('.')[:2])


def neighbours(sources, number):
    """Of each package the others that its modules of one layer import."""
    found = {}
    for module, source in sources.items():
        if layer(module) == number:
            mine = found.setdefault(package(module), set())
            for imported in imports(source):
                target = module_of(imported) if PACKAGE in imported else None
                if target and layer(target) == number:
                    mine.add(package(target))
            mine.discard(package(module))
    return found


def cycle(sources, number):
    try:
        graphlib.TopologicalSorter(neighbours(sources, number)).prepare()
    except graphlib.CycleError as exc:
        return exc.args[1]
    return None


@pytest.mark.parametrize('number', sorted(set(LAYERS.values())))
def test_packages_of_a_layer_have_an_order(number):
    """Two of them do not import each other, not even by a third one."""
    sources = {name: path.read_text() for name, path in MODULES.items()}

    assert not cycle(sources, number)


def test_a_cycle_is_seen():
    """Whichever of their modules the arrows begin at."""
    sources = {
        'hawkfish_plugin.operations.create': (
            'from hawkfish_plugin.redfish import snapshots'
        ),
        'hawkfish_plugin.redfish.policy': (
            'from hawkfish_plugin.catalogue import View'
        ),
        'hawkfish_plugin.catalogue': (
            'def f():\n    from hawkfish_plugin.operations import delete'
        ),
    }

    assert cycle(sources, 5)
    sources['hawkfish_plugin.catalogue'] = ''
    assert not cycle(sources, 5)


def module_cycle(sources):
    """Modules that import each other at run time, each the next one."""
    found = {}
    for module, source in sources.items():
        ours = {i for i in imports(source, False) if i.startswith(PACKAGE)}
        # A package is imported with any of its modules.
        found[module] = {
            target
            for target in map(module_of, ours)
            if not f'{module}.'.startswith(f'{target}.')
        }
    try:
        graphlib.TopologicalSorter(found).prepare()
    except graphlib.CycleError as exc:
        return exc.args[1]
    return None


def test_modules_have_an_order():
    """Within a package as well: whatever is imported is whole by then."""
    sources = {name: path.read_text() for name, path in MODULES.items()}

    assert not module_cycle(sources)


def test_a_cycle_of_modules_is_seen():
    sources = {
        'hawkfish_plugin.wiring.access': (
            'from hawkfish_plugin.wiring.work import Work'
        ),
        'hawkfish_plugin.wiring.work': (
            'from hawkfish_plugin.wiring import foundations'
        ),
        'hawkfish_plugin.wiring.foundations': (
            'def f():\n    import hawkfish_plugin.wiring.access'
        ),
    }

    assert module_cycle(sources)
    sources['hawkfish_plugin.wiring.foundations'] = ''
    assert not module_cycle(sources)


@pytest.mark.parametrize('module', MODULES)
def test_every_module_has_a_layer(module):
    """No module but the package itself falls back on the package's layer."""
    assert module == PACKAGE or layer(module) < LAYERS[PACKAGE]


@pytest.mark.parametrize(
    'path',
    [
        path
        for folder in (ROOT, pathlib.Path(__file__).parents[1])
        for path in sorted(folder.rglob('*.py'))
        if len(path.read_text().splitlines()) > MOST_LINES
    ],
    ids=lambda path: path.name,
)
def test_a_long_file_says_why(path):
    """A file is small enough to be read at once, or says why it is not."""
    told = ast.get_docstring(ast.parse(path.read_text())) or ''

    assert re.search(r'(^|\s)Long, as\s', told)


@pytest.mark.parametrize('module', MODULES)
def test_libvirt_stays_in_its_driver(module):
    """Nothing but the libvirt driver imports libvirt."""
    found = {i.split('.')[0] for i in imports(MODULES[module].read_text())}

    if not module.startswith('hawkfish_plugin.drivers.libvirt'):
        assert not any(name.startswith('libvirt') for name in found)


@pytest.mark.parametrize('module', MODULES)
def test_sushy_tools_stays_in_the_emulator(module):
    """What is known of its insides is in one package; two start it."""
    found = {i.split('.')[0] for i in imports(MODULES[module].read_text())}

    if not module.startswith(
        tuple(f'{PACKAGE}.{name}' for name in ('emulator.', 'plugin', 'wsgi'))
    ):
        assert 'sushy_tools' not in found


@pytest.mark.parametrize('module', MODULES)
def test_sushy_stays_in_the_client(module):
    """Nothing but the client uses sushy; others may know its errors."""
    found = imports(MODULES[module].read_text(), with_types=False)

    if not f'{module}.'.startswith('hawkfish_plugin.client.'):
        assert 'sushy' not in {
            i.split('.')[0] for i in found if i not in HTTP_BUT_NO_REQUESTS
        }


@pytest.mark.parametrize('module', CLIENTS)
def test_clients_have_no_http_of_their_own(module):
    """Command line and Ironic reach a service through the client alone."""
    source = MODULES[module].read_text()
    found = set(imports(source, with_types=False)) - HTTP_BUT_NO_REQUESTS

    assert not {i for i in found if i.split('.')[0] in HTTP - {'requests'}}
    assert not requests_used(source)


def spelled(source):
    """The strings of *source*, but for the names of steps."""
    tree = ast.parse(source)
    steps = {
        id(node)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and getattr(call.func, 'attr', '') in ('step', 'note')
        for node in call.args
    }
    # What is compared is the last step; a set of steps is a tuple.
    for node in ast.walk(tree):
        if isinstance(node, ast.Tuple | ast.Compare):
            steps |= {id(part) for part in ast.iter_child_nodes(node)}
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and id(node) not in steps
    }


@pytest.mark.parametrize(
    'module', [m for m in MODULES if m.startswith(f'{PACKAGE}.drivers.')]
)
def test_drivers_do_not_spell_the_names_of_operations(module):
    """The contract has them; the operations take theirs from there too."""
    found = spelled(MODULES[module].read_text())

    if module != contract.__name__:
        assert not found & work.KINDS.keys()
