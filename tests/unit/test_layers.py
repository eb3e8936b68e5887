# SPDX-License-Identifier: Apache-2.0
"""The modules import downwards only, as the imports themselves say."""

import ast
import functools
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
    'hawkfish_plugin.accounts': 3,
    'hawkfish_plugin.sessions': 3,
    'hawkfish_plugin.notes': 3,
    'hawkfish_plugin.audit': 3,
    'hawkfish_plugin.groups': 5,
    'hawkfish_plugin.groups.table': 3,
    'hawkfish_plugin.groups.forecast': 1,
    'hawkfish_plugin.exports': 3,
    'hawkfish_plugin.sending': 4,
    'hawkfish_plugin.backups': 3,
    'hawkfish_plugin.uploads': 3,
    'hawkfish_plugin.clones': 3,
    'hawkfish_plugin.far_images': 3,
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
    'hawkfish_plugin.retention.classes': 1,
    'hawkfish_plugin.schedules': 3,
    'hawkfish_plugin.schedules.recurrence': 1,
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


MODULES = {
    name_of(path): path.read_text() for path in sorted(ROOT.rglob('*.py'))
}
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
    waiting = [node]
    while waiting:
        for child in ast.iter_child_nodes(waiting.pop()):
            # An import is never within an expression.
            if not isinstance(child, ast.expr) and (
                with_types or not is_for_types(child)
            ):
                yield child
                waiting.append(child)


# Each test looks at all modules.
parse = functools.cache(ast.parse)


@functools.cache
def imports(source, with_types=True):
    """The modules, and names in modules, that *source* imports."""
    found = []
    for node in walk(parse(source), with_types):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, 'imports are absolute here'
            found += [f'{node.module}.{a.name}' for a in node.names]
    return found


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
        for node in ast.walk(parse(source))
        if isinstance(node, ast.Attribute)
        and getattr(node.value, 'id', '') == 'requests'
        and not node.attr.endswith('Error')
    }


def test_no_arrow_points_up():
    """A module imports from its own layer and those below it only."""
    assert not [
        arrow
        for module, source in MODULES.items()
        for arrow in arrows_up(module, source)
    ]


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
    assert not cycle(MODULES, number)


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
    assert not module_cycle(MODULES)


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


def test_every_module_has_a_layer():
    """No module but the package itself falls back on the package's layer."""
    assert [m for m in MODULES if layer(m) == LAYERS[PACKAGE]] == [PACKAGE]


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


def importing(*libraries, with_types=True):
    """The modules that import one of *libraries*, by their top packages."""
    return {
        module
        for module, source in MODULES.items()
        for imported in imports(source, with_types)
        if imported not in HTTP_BUT_NO_REQUESTS
        and imported.split('.')[0] in libraries
    }


def outside(modules, *rooms):
    """Those of *modules* that are not in any of *rooms* of the package."""
    places = tuple(f'{PACKAGE}.{room}.' for room in rooms)
    return {m for m in modules if not f'{m}.'.startswith(places)}


def test_libvirt_stays_in_its_driver():
    """Nothing but the libvirt driver imports libvirt."""
    found = importing('libvirt', 'libvirt_qemu')

    assert found
    assert not outside(found, 'drivers.libvirt')


def test_sushy_tools_stays_in_the_emulator():
    """What is known of its insides is in one package; two start it."""
    found = importing('sushy_tools')

    assert found
    assert not outside(found, 'emulator', 'plugin', 'wsgi')


def test_sushy_stays_in_the_client():
    """Nothing but the client uses sushy; others may know its errors."""
    found = importing('sushy', with_types=False)

    assert found
    assert not outside(found, 'client')


def test_clients_have_no_http_of_their_own():
    """Command line and Ironic reach a service through the client alone."""
    found = importing(*HTTP - {'requests'}, with_types=False)

    assert not found.intersection(CLIENTS)
    assert not [m for m in CLIENTS if requests_used(MODULES[m])]


def spelled(source):
    """The strings of *source*, but for the names of steps."""
    tree = parse(source)
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


def test_drivers_do_not_spell_the_names_of_operations():
    """The contract has them; the operations take theirs from there too."""
    assert not [
        (module, name)
        for module, source in MODULES.items()
        if module.startswith(f'{PACKAGE}.drivers.')
        and module != contract.__name__
        for name in spelled(source) & work.KINDS.keys()
    ]
