# SPDX-License-Identifier: Apache-2.0
"""
What the ledger finds on a host, from one look to the next.

Long, as each change between two looks has its test.
"""

import pytest

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import ledger, unsafe
from tests.unit.libvirt import hosted

BASE = '/images/base.qcow2'
OVERLAY = '/images/hawkfish-0123456789ab-vda.qcow2'
CACHED, LISTED, FULL = contract.Freshness


@pytest.fixture
def host():
    with hosted.libvirtd() as made:
        yield made


@pytest.fixture
def node(host):
    """A system with a snapshot, which is off."""
    host.file(BASE)
    host.file(OVERLAY, BASE)
    node = host.domain('node', OVERLAY)
    node.handle.capture('s', BASE, OVERLAY)
    return node


def dependents(host, node, freshness, book=None):
    book = book or ledger.Ledger()
    return [d.name for d in book.on(node, {BASE}, freshness)]


@pytest.mark.parametrize('link', ['/link', '/links/base.qcow2'])
def test_what_was_written_since_the_last_look(host, link):
    """A file is itself by a path that appears later."""
    book = ledger.Ledger()
    host.file(BASE)
    node = host.domain('node', BASE)
    book.files(host.host, [BASE], LISTED)
    host.file(BASE)
    node.handle.capture('s', BASE, host.file(OVERLAY, BASE))
    host.domain('node', OVERLAY)
    book.files(host.host, [BASE], LISTED)
    host.link(link, '/images' if link == '/link' else BASE)
    host.domain('node', '/link/base.qcow2' if link == '/link' else link)

    with pytest.raises(exceptions.DefinitionOnSnapshot):
        unsafe.check_start(node, book, LISTED)


def test_a_link_that_leads_elsewhere_now(host, node):
    """What a definition names is looked at each time."""
    book = ledger.Ledger()
    host.file('/images/other')
    host.link('/links/disk', '/images/other')
    host.domain('node', '/links/disk')
    unsafe.check_start(node, book, LISTED)
    host.link('/links/disk', BASE)

    with pytest.raises(exceptions.DefinitionOnSnapshot):
        unsafe.check_start(node, book, LISTED)


def test_what_nobody_names_is_read_once(host, node):
    """New overlays of snapshots do not let everything be read anew."""
    book = ledger.Ledger()
    host.file('/images/of-nobody')
    book.files(host.host, [BASE], LISTED)
    host.file('/images/hawkfish-ba9876543210-vda.qcow2', OVERLAY)
    host.read.clear()
    book.files(host.host, [BASE], LISTED)
    assert BASE in host.read
    assert '/images/of-nobody' not in host.read

    book.files(host.host, [BASE], FULL)
    assert '/images/of-nobody' in host.read


def test_a_decision_is_made_by_one_look(host, node):
    """Until something is changed; and nothing is decided by another's."""
    book, moments = ledger.Ledger(), host.host.moments
    with moments.at_one_time():
        assert dependents(host, node, FULL, book) == []
        host.read.clear()
        dependents(host, node, LISTED, book)
        assert not host.read

        moments.changing()
        dependents(host, node, LISTED, book)
        assert host.read
    with moments.at_one_time():
        host.file('/images/clone.qcow2', BASE)
        host.domain('clone', '/images/clone.qcow2')
        assert dependents(host, node, LISTED, book) == ['clone']


def test_a_decision_about_a_file_that_was_not_read_anew(host, node):
    """A look at other files will not do for it."""
    book, loose = ledger.Ledger(), '/images/of-nobody'
    host.file(loose)
    book.files(host.host, [BASE], LISTED)
    with host.host.moments.at_one_time():
        book.files(host.host, [BASE], LISTED)
        host.read.clear()
        book.files(host.host, [loose], LISTED)
        assert loose in host.read


def test_a_pool_that_does_not_answer(host, node):
    """What was found there before is still a clone, and of nobody no file."""
    host.file('/nfs/clone.qcow2', BASE)
    host.pool('nfs', '/nfs')
    host.domain('clone', '/nfs/clone.qcow2')
    book = ledger.Ledger()
    assert dependents(host, node, LISTED, book) == ['clone']
    host.hung.add('/nfs')

    assert dependents(host, node, FULL, book) == ['clone']
    host.domain('clone', '/elsewhere')
    with pytest.raises(exceptions.NotAnswering):
        dependents(host, node, FULL, book)


def test_a_pool_that_lets_all_others_wait(host, node):
    """
    A look that hangs in libvirt lets nobody's request wait for it.

    libvirt does not even list the pools then: what was found before is still
    known, and what was not, is not guessed.
    """
    host.pool('images', '/images')
    host.file('/nfs/other.qcow2')
    host.domain('other', '/nfs/other.qcow2')
    host.domain('clone', host.file('/images/clone.qcow2', BASE))
    book = ledger.Ledger()
    assert dependents(host, node, LISTED, book) == ['clone']
    host.hung.add('/nfs')

    for freshness in LISTED, FULL, CACHED:
        assert dependents(host, node, freshness, book) == ['clone']
    host.domain('new', hosted.volume_disk('images', 'new.qcow2'))
    with pytest.raises(exceptions.NotAnswering):
        dependents(host, node, LISTED, book)


@pytest.mark.parametrize('by_volume', [False, True])
def test_a_disk_that_does_not_answer(host, node, by_volume):
    """Nobody says that a disk is no clone that was never looked at."""
    host.file('/nfs/clone.qcow2', BASE)
    host.pool('nfs', '/nfs')
    disk = hosted.volume_disk('nfs', 'clone.qcow2')
    host.domain('clone', disk if by_volume else '/nfs/clone.qcow2')
    host.hung.add('/nfs')

    for freshness in LISTED, FULL:
        with pytest.raises(exceptions.NotAnswering):
            dependents(host, node, freshness)
    assert dependents(host, node, CACHED) == []


def test_a_disk_in_a_folder_that_cannot_be_read(host, node):
    """The same; what was found before will do."""
    book = ledger.Ledger()
    host.file('/home/clone.qcow2')
    host.domain('clone', '/home/clone.qcow2')
    assert dependents(host, node, LISTED, book) == []
    host.unreadable.add('/home')

    assert dependents(host, node, FULL, book) == []
    with pytest.raises(exceptions.FolderUnreadable):
        dependents(host, node, FULL)


def test_a_raw_disk_in_a_folder_that_cannot_be_read(host, node):
    """It stands on nothing, wherever it lies."""
    raw = hosted.disk('/home/disk.raw').replace('qcow2', 'raw')
    host.domain('other', raw)
    host.file('/home/disk.raw')
    host.unreadable.add('/home')

    assert dependents(host, node, FULL) == []


def test_a_pool_that_is_stopped(host, node):
    """A definition in it is seen where its folder is, and else not guessed."""
    host.pool('clones', '/clones', active=False)
    host.domain('clone', hosted.volume_disk('clones', 'clone.qcow2'))

    with pytest.raises(exceptions.PoolNotActive) as caught:
        dependents(host, node, FULL)
    assert caught.value.args == ('clones', 'clone')

    host.file('/clones/clone.qcow2', BASE)
    assert dependents(host, node, FULL) == ['clone']
    host.file('/clones/clone.qcow2')
    assert dependents(host, node, FULL) == []


def test_a_pool_that_is_gone(host, node):
    """Nor where the pool is not defined any more."""
    host.domain('clone', hosted.volume_disk('clones', 'clone.qcow2'))

    with pytest.raises(exceptions.PoolNotActive):
        dependents(host, node, FULL)


def test_a_volume_that_is_gone(host, node):
    """A pool that answers knows that there is no such file."""
    host.folders['/clones'] = {}
    host.pool('clones', '/clones')
    host.domain('clone', hosted.volume_disk('clones', 'clone.qcow2'))

    assert dependents(host, node, FULL) == []


def test_a_copy_of_an_overlay(host, node):
    """A backup of it stands on the base, though it has the same name."""
    copy = OVERLAY.replace('images', 'backup')
    host.file(copy, BASE, data=hosted.qcow2(hosted.USED))
    host.pool('backup', '/backup')

    assert dependents(host, node, FULL) == [copy]


def test_the_overlay_by_another_path(host, node):
    """It is the same, however little was written to it yet."""
    host.file(OVERLAY, BASE, mib=0.2)
    host.link(OVERLAY.replace('images', 'pool'), OVERLAY)
    host.pool('pool', '/pool')

    assert dependents(host, node, FULL) == []


def test_a_clone_that_was_made_with_an_overlay(host, node):
    """It is no file of the system, though they have the same stamp."""
    host.file(OVERLAY, BASE, mib=0.2)
    host.link('/clones/new.qcow2', OVERLAY)
    host.pool('clones', '/clones')

    assert dependents(host, node, FULL) == ['/clones/new.qcow2']


NODE = '{"driver": "qcow2", "file": {"driver": "file", "filename": "%s"}}'


@pytest.mark.parametrize(
    'said',
    [
        f'file:{BASE}',
        f'file://{BASE}',
        f'blkdebug::{BASE}',
        f'json:{NODE % BASE}',
        f'json:{{"driver": "copy-on-read", "file": {NODE % BASE}}}',
        f'json:{{"driver": "qcow2", "file.filename": "{BASE}"}}',
        f'json:{{"backing": {NODE % "/b"}, "file": {{"filename": "{BASE}"}}}}',
    ],
)
def test_a_clone_in_other_words(host, node, said):
    """It stands on the file whatever its header calls that."""
    host.pool('clones', '/clones')
    # libvirt says that such a file is raw.
    clone = host.file('/clones/clone.qcow2', said, kind='raw')
    over = host.file('/clones/over.qcow2', clone)

    assert dependents(host, node, FULL) == [clone, over]
    host.domain('clone', over)
    assert 'clone' in dependents(host, node, FULL)


@pytest.mark.parametrize(
    'said',
    [
        'nbd://host/images',
        'nbd:host:10809',
        'json:{"driver": "nbd", "path": "/images"}',
        'json:[',
        'json:' + '[' * 100_000,
        'json:""',
    ],
)
def test_what_stands_on_no_file(host, node, said):
    """What is on the network, or makes no sense, is nobody's file."""
    host.pool('clones', '/clones')
    host.file('/clones/clone.qcow2', said)

    assert dependents(host, node, FULL) == []


# What guests write -----------------------------------------------------------

RAW = '/images/disk.raw'


def raw(path):
    return hosted.disk(path).replace('qcow2', 'raw')


def test_what_a_guest_writes_to_a_raw_disk(host, node):
    """
    It is in nobody's way, though libvirt takes it for a qcow2 file.

    And it does not choose where the host is looked at.
    """
    host.domain('guest', raw(host.file(RAW, OVERLAY)))
    unsafe.check_start(node, ledger.Ledger(), LISTED)

    host.file(RAW, '/hung/file')
    host.folders['/hung'] = {}
    host.hung.add('/hung')
    files = ledger.Ledger().files(host.host, [BASE], LISTED)

    assert not files.unread
    assert files.above('/hung/file') == []


def test_what_a_guest_has_written_below_its_overlay(host, node):
    """The overlay says that the file below it is raw, and QEMU wrote that."""
    host.file(RAW, BASE)
    over = host.file(
        '/images/hawkfish-ba9876543210-vda.qcow2', RAW, kind='raw'
    )
    host.domain('guest', over)
    assert dependents(host, node, FULL) == []

    host.file(over, RAW)
    assert 'guest' in dependents(host, node, FULL)


@pytest.mark.parametrize(
    'other',
    [hosted.disk(RAW), raw(RAW).replace('</disk>', '<readonly/></disk>')],
)
def test_what_somebody_reads_as_qcow2(host, node, other):
    """It is a clone, whatever else it is read as."""
    host.file(RAW, BASE)
    host.domain('other', other)
    assert dependents(host, node, FULL) == ['other']

    if 'readonly' not in other:
        host.domain('guest', raw(RAW))
        assert sorted(dependents(host, node, FULL)) == ['guest', 'other']


def test_no_guest_hides_a_clone(host, node):
    """By writing that it is the raw file below its disk."""
    clone = host.file('/images/clone.qcow2', BASE)
    host.domain('guest', raw(host.file(RAW, clone, kind='raw')))

    assert dependents(host, node, FULL) == [clone]


def test_what_a_guest_had_written_to_a_disk_that_was_detached(host, node):
    """
    It keeps others from something, as it may be an image by now.

    But neither does it lead anywhere, nor is it remembered.
    """
    book = ledger.Ledger()
    host.pool('images', '/images')
    host.domain('guest', raw(host.file(RAW, '/hung/file')))
    host.folders['/hung'] = {}
    host.hung.add('/hung')
    book.files(host.host, [BASE], LISTED)
    host.domain('guest')

    for freshness in LISTED, FULL:
        files = book.files(host.host, [BASE], freshness)
        assert not files.unread
        assert files.above('/hung/file') == [RAW]
    assert not ledger.of_now(host.host, [BASE]).unread
    assert not host.host.far_images.all()


def test_what_is_an_image_after_all(host, node):
    """As somebody has it as one now."""
    book = ledger.Ledger()
    far = '/far/base.qcow2'
    host.domain('guest', raw(host.file(RAW, host.file(far))))
    book.files(host.host, [BASE], LISTED)
    host.domain('guest', RAW)

    book.files(host.host, [BASE], LISTED)

    (image,) = host.host.far_images.all()
    assert (image.path, image.base) == (RAW, far)


# Images that nothing leads to ------------------------------------------------

FAR, ELSEWHERE = '/far/clone.qcow2', '/elsewhere/other.qcow2'


@pytest.fixture
def clone(host, node):
    """One that had a domain while somebody looked, in a folder of its own."""
    host.domain('clone', host.file(FAR, BASE))
    ledger.Ledger().files(host.host, [BASE], LISTED)
    host.domain('clone', host.file(ELSEWHERE))
    return FAR


def test_who_decides_looks_for_it(host, node, clone):
    """A process that has just begun, too."""
    for freshness in LISTED, FULL, CACHED:
        assert dependents(host, node, freshness) == [clone]
    del host.folders['/far']['clone.qcow2']

    for freshness in LISTED, FULL, CACHED:
        assert dependents(host, node, freshness) == []
    host.file(clone, BASE)
    assert dependents(host, node, LISTED) == [clone]


def test_a_list_does_not_look_for_it(host, node, clone):
    """Its file system may hang; it is there as far as anybody knows."""
    book = ledger.Ledger()
    assert dependents(host, node, LISTED, book) == [clone]
    host.hung.add('/far')

    for seen_by in book, ledger.Ledger():
        host.host.moments.changing()
        seen_by.outdate()
        assert dependents(host, node, CACHED, seen_by) == [clone]
    assert not is_late(host, '/far')


def test_who_decides_about_something_else_does_not_either(host, node, clone):
    """Whose file system hangs is in nobody's way."""
    host.hung.add('/far')
    base, overlay = '/images/b.qcow2', '/images/o.qcow2'
    host.file(overlay, host.file(base))
    other = host.domain('other', overlay)
    other.handle.capture('t', base, overlay)

    for freshness in LISTED, FULL:
        assert ledger.Ledger().on(other, {base}, freshness) == []
    assert not is_late(host, '/far')


@pytest.mark.parametrize('freshness', [LISTED, FULL])
def test_where_it_cannot_be_looked_for(host, node, clone, freshness):
    """Nothing is decided about what it stands on; each time, and at once."""
    host.hung.add('/far')
    book = ledger.Ledger()

    for _ in range(3):
        with pytest.raises(exceptions.NotAnswering):
            dependents(host, node, freshness, book)
    assert is_late(host, '/far')


@pytest.mark.parametrize('freshness', [LISTED, FULL])
def test_a_folder_that_cannot_be_read(host, node, clone, freshness):
    """What was seen in it counts as being there."""
    host.unreadable.add('/far')

    assert dependents(host, node, freshness) == [clone]


def test_a_list_of_before_will_not_do_for_who_decides(host, node, clone):
    """Though it was made in the same decision."""
    book = ledger.Ledger()
    del host.folders['/far']['clone.qcow2']
    with host.host.moments.at_one_time():
        assert dependents(host, node, CACHED, book) == [clone]
        assert dependents(host, node, LISTED, book) == []


def test_an_image_on_one_that_nothing_leads_to(host, node, clone):
    """It stands on the same."""
    top = host.file('/farther/top.qcow2', clone)
    host.domain('clone', top)
    ledger.Ledger().files(host.host, [BASE], LISTED)
    host.domain('clone', ELSEWHERE)
    host.hung.add('/far')

    with pytest.raises(exceptions.NotAnswering):
        dependents(host, node, LISTED)


def test_one_that_stands_on_another_file_now(host, node):
    """What is remembered is not taken for what was read."""
    base, second = host.file('/images/other.qcow2'), '/far/second.qcow2'
    host.domain('clone', host.file(FAR, BASE), host.file(second, BASE))
    ledger.Ledger().files(host.host, [BASE], LISTED)
    host.domain('clone', host.file(ELSEWHERE))
    book = ledger.Ledger()
    assert dependents(host, node, CACHED, book) == [FAR, second]
    host.file(FAR, base)
    host.domain('clone', second)

    assert dependents(host, node, LISTED, book) == ['clone']


def test_one_that_names_its_base_by_a_link(host, node):
    """A folder that nobody else names is looked at for it."""
    host.link('/link', '/images')
    host.domain('clone', host.file(FAR, '/link/base.qcow2'))
    ledger.Ledger().files(host.host, [BASE], LISTED)
    host.domain('clone', host.file(ELSEWHERE))

    assert dependents(host, node, LISTED) == [FAR]


def is_late(host, folder):
    """Whether anybody waits for a look into *folder*."""
    return folder in host.host.storage._looks.deadlines._late


# Unsafe systems --------------------------------------------------------------


def start(node):
    unsafe.check_start(node, ledger.Ledger(), LISTED)


def test_what_stands_on_a_disk(host, node):
    """A system does not start below a file, be it its own latest state."""
    start(node)
    host.file('/images/base.backup1', OVERLAY)

    with pytest.raises(exceptions.DiskIsBackingFile) as caught:
        start(node)
    assert caught.value.args == ('vda', OVERLAY, '/images/base.backup1')


def test_nothing_stands_on_a_disk(host, node):
    """Neither does an overlay of an interrupted create that is empty."""
    host.file(
        '/images/hawkfish-ba9876543210-vda.qcow2',
        OVERLAY,
        data=hosted.qcow2(0, 0),
    )

    start(node)


def test_a_repair_below_the_latest_state(host, node):
    """It is no repair to let a system write below its latest state."""
    host.domain('node', BASE)
    (planned,) = unsafe.plan(node, ledger.Ledger())
    assert planned.after == OVERLAY
    host.file('/images/base.backup1', OVERLAY)

    with pytest.raises(exceptions.DiskIsBackingFile):
        unsafe.plan(node, ledger.Ledger())


def test_a_snapshot_of_a_volume(host, node):
    """What it holds is known where it is named by its pool."""
    host.pool('images', '/images')
    volume = hosted.volume_disk('images', 'base.qcow2')
    text = node.handle.snapshots['s']
    node.handle.snapshots['s'] = text.replace(hosted.disk(BASE), volume)
    host.domain('node', volume)

    with pytest.raises(exceptions.DefinitionOnSnapshot):
        start(node)


GOLDEN = '/dev/vg/golden'
DEVICE = """<disk type='block' device='disk'><driver type='raw'/>
<source dev='/dev//vg/golden'/><target dev='vda'/></disk>"""


def test_who_writes_to_a_device(host):
    """A device that others stand on is no different from a file."""
    host.file(BASE, GOLDEN, kind='raw')
    host.file(OVERLAY, BASE)
    node = host.domain('node', OVERLAY)
    node.handle.capture('s', BASE, OVERLAY)
    writer = host.domain('writer', DEVICE)

    with pytest.raises(exceptions.DefinitionOnSnapshot) as caught:
        start(writer)
    assert caught.value.args == ('vda', '/dev//vg/golden', 's of node')
    with pytest.raises(exceptions.DiskOfTwoSystems):
        exceptions.check(unsafe.violations(node, ledger.Ledger(), LISTED))


def test_who_writes_to_a_device_by_another_path(host):
    """libvirt knows the volumes of its pools by all of them."""
    host.pool('vg', '/dev/vg')
    host.file(GOLDEN, kind='raw')
    host.device_links['/dev/mapper/vg-golden'] = GOLDEN
    host.file(BASE, GOLDEN, kind='raw')
    host.file(OVERLAY, BASE)
    node = host.domain('node', OVERLAY)
    node.handle.capture('s', BASE, OVERLAY)
    linked = DEVICE.replace('/dev//vg/golden', '/dev/mapper/vg-golden')
    writer = host.domain('writer', linked)

    with pytest.raises(exceptions.DefinitionOnSnapshot):
        start(writer)
    with pytest.raises(exceptions.DiskOfTwoSystems):
        exceptions.check(unsafe.violations(node, ledger.Ledger(), LISTED))


def test_a_device_of_its_own(host, node):
    """Nobody minds it, and it keeps no look from knowing the rest."""
    writer = host.domain('writer', DEVICE)
    qcow2 = DEVICE.replace('raw', 'qcow2').replace('golden', 'other')
    host.domain('other', qcow2)

    start(writer)
    start(node)
    assert dependents(host, node, FULL) == []


def test_what_another_process_has_made(host):
    """A file that is not known yet is looked for at once."""
    book, made = ledger.Ledger(), '/images/hawkfish-ba9876543210-vda.qcow2'
    host.file(BASE)
    assert not book.all_of(host.host, {BASE}).unseen({BASE})
    host.file(made)

    assert not book.all_of(host.host, {BASE, made}).unseen({made})


def test_a_file_that_is_gone(host):
    """It is looked for once, and not by each list."""
    book, gone = ledger.Ledger(), '/images/hawkfish-ba9876543210-vda.qcow2'
    host.file(BASE)
    assert book.all_of(host.host, {BASE, gone}).unseen({gone})
    host.read.clear()
    book.all_of(host.host, {BASE, gone})

    assert not host.read


def test_a_record_has_no_definition_of_before(host, node):
    """Other threads go by it, whatever the one that looks has read before."""
    book, clone = ledger.Ledger(), '/elsewhere/clone.qcow2'
    other = host.domain('other', host.file('/images/other')).uuid
    with host.host.moments.at_one_time():
        book.files(host.host, [BASE], LISTED)
        host.domain('other', host.file(clone, BASE))
        # In a folder that was not looked into.
        files = book.files(host.host, [host.file('/more/disk')], LISTED)

    assert clone in files.definitions[other].files


def test_what_an_operation_has_outdated(host):
    """A list would do with what was seen some seconds ago."""
    book = ledger.Ledger()
    host.file(BASE)
    book.all_of(host.host, {BASE})
    host.read.clear()
    book.all_of(host.host, {BASE})
    assert not host.read

    book.outdate()
    book.all_of(host.host, {BASE})
    assert BASE in host.read


def test_a_folder_is_read_once(host, node):
    """Not once more by the pool that somebody has over it."""
    host.pool('images', '/images')
    files = ledger.of_now(host.host, [BASE])

    assert host.read.count(BASE) == 1
    assert files.active == {'images'}
    assert files.volumes['images', 'base.qcow2'].path == BASE
