# SPDX-License-Identifier: Apache-2.0
"""
What is relied on of sushy-tools is there, and means what we take it for.

``tests/release/test_upstream.py`` runs this file with the oldest and the
newest sushy-tools that are supported.

Long, as there is a test for each thing that is relied on.
"""

import functools
import http.server
import io
import pathlib
import sys
import threading
import traceback

import flask
import pytest
import requests
from sushy_tools import error
from sushy_tools.emulator import main
from sushy_tools.emulator.resources import vmedia
from sushy_tools.emulator.resources.systems import fakedriver

from hawkfish_plugin import locks
from hawkfish_plugin.emulator import internals, routes, virtual_media
from tests.served import user_entry

ROOT = '/redfish/v1'
UUID = '27946b59-9e44-4fa7-8e91-f3527a1ef094'
ENDPOINTS = [
    (internals.SERVICE_ROOT, 'GET', f'{ROOT}/', {}),
    (internals.SYSTEMS, 'GET', f'{ROOT}/Systems', {}),
    (internals.MANAGERS, 'GET', f'{ROOT}/Managers', {}),
    (internals.SYSTEM, 'GET', f'{ROOT}/Systems/a', {'identity': 'a'}),
    (internals.BIOS, 'GET', f'{ROOT}/Systems/a/BIOS', {'identity': 'a'}),
    (
        internals.BIOS_SETTINGS,
        'GET',
        f'{ROOT}/Systems/a/BIOS/Settings',
        {'identity': 'a'},
    ),
    (
        internals.RESET_BIOS,
        'POST',
        f'{ROOT}/Systems/a/BIOS/Actions/Bios.ResetBios',
        {'identity': 'a'},
    ),
    (internals.REGISTRIES, 'GET', f'{ROOT}/Registries', {}),
    (internals.TASK_SERVICE, 'GET', f'{ROOT}/TaskService', {}),
    (
        internals.VIRTUAL_MEDIA,
        'GET',
        f'{ROOT}/Systems/a/VirtualMedia/Cd',
        {'identity': 'a', 'device': 'Cd'},
    ),
    (
        internals.SIMPLE_UPDATE,
        'POST',
        f'{ROOT}/UpdateService/Actions/UpdateService.SimpleUpdate',
        {},
    ),
]
DRIVERS = {
    'fakedriver': {'SUSHY_EMULATOR_FAKE_DRIVER': True},
    'novadriver': {'SUSHY_EMULATOR_OS_CLOUD': 'nowhere'},
    'ironicdriver': {'SUSHY_EMULATOR_IRONIC_CLOUD': 'nowhere'},
    'libvirtdriver': {'SUSHY_EMULATOR_LIBVIRT_URI': 'test:///default'},
}


@pytest.fixture
def stock(tmp_path):
    """An emulator without routes, with its state in a folder of its own."""
    app = main.Application()
    app.config['SUSHY_EMULATOR_STATE_DIR'] = str(tmp_path)
    return app


@pytest.fixture
def image(tmp_path):
    """The URL of an image that can be inserted."""
    folder = tmp_path / 'images'
    folder.mkdir()
    (folder / 'boot.x.iso').write_text('image')
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=folder
    )
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(
        target=server.serve_forever, args=(0.01,), daemon=True
    ).start()
    yield f'http://127.0.0.1:{server.server_port}/boot.x.iso'
    server.shutdown()
    server.server_close()


@pytest.fixture
def libvirt_host():
    """A hypervisor that libvirt only pretends to have, of this process."""
    libvirt = pytest.importorskip('libvirt')
    connection = libvirt.open('test:///default')
    yield connection
    connection.close()


@pytest.fixture
def libvirt_app(stock, libvirt_host):
    """The emulator of that hypervisor."""
    stock.config['SUSHY_EMULATOR_LIBVIRT_URI'] = 'test:///default'
    return stock


# Command line --------------------------------------------------------------


@pytest.mark.parametrize('option', ['-h', '--help'])
def test_help(monkeypatch, capsys, option):
    """The emulator's help is that of the plugin's program, with its own."""
    monkeypatch.setattr(sys, 'argv', ['hawkfish', option])
    with (
        pytest.raises(SystemExit),
        internals.with_help([option], 'hawkfish', '[--ours N]', '--ours ours'),
    ):
        main.main()

    usage, _, options = capsys.readouterr().out.partition('\n\n')
    assert usage.startswith('usage: hawkfish [-h]')
    assert usage.endswith('[--ours N]')
    assert options.endswith('--ours ours')
    assert 'sushy-emulator [' not in usage + options
    assert '--fake' in usage
    assert '--fake' in options


def test_no_help(capsys):
    """What is printed for other arguments is left alone."""
    with internals.with_help(['--fake'], 'hawkfish', '', ''):
        print('sushy-emulator')

    assert capsys.readouterr().out == 'sushy-emulator\n'


# Endpoints -----------------------------------------------------------------


@pytest.mark.parametrize('endpoint, method, path, args', ENDPOINTS)
def test_endpoints(endpoint, method, path, args):
    """Each endpoint is that of its path, and has the arguments we read."""
    adapter = main.app.url_map.bind('localhost')

    assert adapter.match(path, method) == (endpoint, args)
    assert not routes.is_ours(endpoint)


def test_the_emulators_task():
    """Its one task has the number that we leave to it."""
    adapter = main.app.url_map.bind('localhost')

    endpoint, args = adapter.match(
        f'{ROOT}/TaskService/Tasks/{internals.TASK_ID}'
    )

    assert not args
    assert not routes.is_ours(endpoint)


def test_arguments_of_a_path():
    """The system and the device are those that the path names."""
    path = f'{ROOT}/Systems/a/VirtualMedia/Cd'
    with main.app.test_request_context(path):
        assert internals.system_of(flask.request) == 'a'
        assert internals.device_of(flask.request) == 'Cd'
    with main.app.test_request_context(f'{ROOT}/Systems'):
        assert internals.system_of(flask.request) is None


@pytest.mark.parametrize(
    'body, names',
    [
        ({'Targets': [f'{ROOT}/Systems/b/', f'{ROOT}/Systems/a']}, ['b', 'a']),
        ({'Targets': 'a'}, []),
        ({}, []),
        ([], []),
    ],
)
def test_targets_of_an_update(body, names):
    """The targets of an update are the systems that end its URIs."""
    with main.app.test_request_context('/', method='POST', json=body):
        assert internals.update_targets(flask.request) == names


def test_service_root():
    """The service root can be had as the emulator renders it."""
    with main.app.test_request_context(f'{ROOT}/'):
        root = internals.service_root(main.app)

    assert root['@odata.id'] == f'{ROOT}/'
    assert root['Systems'] == {'@odata.id': f'{ROOT}/Systems'}


# Configuration -------------------------------------------------------------


@pytest.mark.parametrize('named_by_environment', [False, True])
def test_app_being_configured(tmp_path, monkeypatch, named_by_environment):
    """A configuration file finds the emulator that executes it."""
    config = tmp_path / 'emulator.conf'
    config.write_text(
        'from hawkfish_plugin.emulator import internals\n'
        'FOUND = internals.app_being_configured()\n'
    )
    if named_by_environment:
        monkeypatch.setenv('SUSHY_EMULATOR_CONFIG', str(config))
    app = main.Application()
    if not named_by_environment:
        app.configure(config_file=str(config))

    assert app.config['FOUND'] is app


def test_no_app_is_being_configured():
    """Elsewhere than in a configuration file the way out is told."""
    with pytest.raises(RuntimeError, match=r'plugin\.setup\(app\)'):
        internals.app_being_configured()


def driver_built(app):
    """The module of the systems driver that *app* builds, or tries to."""
    try:
        return type(app.systems).__module__.rpartition('.')[2]
    except Exception as exc:
        files = [
            pathlib.Path(frame.filename)
            for frame in traceback.extract_tb(exc.__traceback__)
        ]
        return next(f.stem for f in files if f.parent.name == 'systems')


@pytest.mark.parametrize('name', DRIVERS)
@pytest.mark.parametrize('other', DRIVERS)
def test_driver_name(stock, name, other):
    """Ours is the driver of the hypervisor that the emulator serves."""
    if 'libvirtdriver' in (name, other):
        pytest.importorskip('libvirt')
    stock.config.update({**DRIVERS[name], **DRIVERS[other]})

    chosen = internals.driver_name(stock.config)

    assert driver_built(stock) == f'{chosen}driver'


def test_libvirt_uri(libvirt_app, libvirt_host):
    """The URI of libvirt is the one that the emulator connects to."""
    assert internals.libvirt_uri(libvirt_app.config) == 'test:///default'
    assert internals.libvirt_uri({}) is None
    assert internals.systems(libvirt_app).systems == [
        domain.UUIDString() for domain in libvirt_host.listAllDomains()
    ]


def test_state_folder(stock, tmp_path):
    """What the emulator keeps is in its folder, by the name that it has."""
    stock.vmedia.get_device_name(UUID, 'Cd')

    assert internals.state_folder(stock.config) == str(tmp_path)
    kept = internals.persistent_dict(stock.config, 'vmedia')
    assert set(kept) == {(UUID, 'Cd'), (UUID, 'Floppy')}


def test_persistent_dictionaries_close_their_connections(stock, tmp_path):
    """And keep what is put into them."""
    kept = internals.persistent_dict(stock.config, 'some')
    internals.mend_connections()
    for number in range(20):
        kept[number] = 'value'
        assert kept[number] == 'value'
        assert 'none' not in kept

    files = pathlib.Path('/proc/self/fd').iterdir()
    assert not [
        f for f in files if f.exists() and 'some.s' in str(f.resolve())
    ]


@pytest.mark.parametrize(
    'called, name',
    [
        ('/etc/cron.d/theirs', 'theirs'),
        ('../../theirs', 'theirs'),
        ('..', 'image.iso'),
        ('a name.iso', 'a name.iso'),
    ],
)
def test_an_image_is_called_by_a_name(
    stock, tmp_path, monkeypatch, called, name
):
    """Whatever path its server would have it moved to."""
    # What is mended is everybody's.
    monkeypatch.setattr(vmedia, '_write_from_response', None)
    internals.mend_downloads(2**20, 60)
    answer = requests.Response()
    answer.raw = io.BytesIO(b'image')
    answer.headers['Content-Disposition'] = f'attachment; filename="{called}"'
    with (tmp_path / 'image').open('wb') as file:
        found = vmedia._write_from_response('http://a/b', answer, file)

    assert found == name
    assert (tmp_path / 'image').read_bytes() == b'image'


@pytest.mark.parametrize('most, seconds', [(4, 60), (2**20, -1)])
def test_a_download_has_bounds(stock, tmp_path, monkeypatch, most, seconds):
    """Of what is too much, or takes too long, nothing stays."""
    # What is mended is everybody's.
    monkeypatch.setattr(vmedia, '_write_from_response', None)
    internals.mend_downloads(most, seconds)
    answer = requests.Response()
    answer.raw = io.BytesIO(b'image')
    with (tmp_path / 'image').open('wb') as file:
        with pytest.raises(error.FishyError):
            vmedia._write_from_response('http://a/b', answer, file)

    assert not list(tmp_path.iterdir())


def test_default_state_folder(stock):
    """Without a folder in its configuration there is a default one."""
    assert pathlib.Path(internals.state_folder({})).is_absolute()


def test_allowed_instances(emulator):
    """A system that may not be served by ours is not by the emulator's."""
    config, systems = emulator.app.config, f'{emulator.url}{ROOT}/Systems'

    def served():
        members = requests.get(systems).json()['Members']
        allowed = internals.allowed_instances(config)
        assert (allowed is None or UUID in allowed) == bool(members)
        return bool(members)

    assert served()
    config['SUSHY_EMULATOR_ALLOWED_INSTANCES'] = ['other']
    assert not served()
    config['SUSHY_EMULATOR_ALLOWED_INSTANCES'] = [UUID]
    assert served()


@pytest.mark.parametrize('features', [None, 'full', 'vmedia', 'minimum'])
def test_features(features):
    """Without all its features the emulator refuses its registries."""
    config = main.app.config
    if features:
        config['SUSHY_EMULATOR_FEATURE_SET'] = features
    view = main.app.view_functions[internals.REGISTRIES]
    try:
        with main.app.test_request_context(f'{ROOT}/Registries'):
            full = internals.has_all_features(config)
            try:
                served = view().status_code == 200
            except main.error.FeatureNotAvailable:
                served = False
    finally:
        config.pop('SUSHY_EMULATOR_FEATURE_SET', None)

    assert served == full == (features in (None, 'full'))


# Authentication ------------------------------------------------------------


def test_users(tmp_path):
    """The file of users and what it guards are those of the emulator."""
    users = tmp_path / 'users'
    users.write_text(user_entry('admin', 'secret'))
    app = main.Application()
    guarded = app.wsgi_app

    assert internals.users_file(app) is None
    app.configure(extra_config={'SUSHY_EMULATOR_AUTH_FILE': str(users)})

    assert internals.users_file(app) == str(users)
    assert internals.unauthenticated(app) == guarded


def test_user_of_a_request(tmp_path):
    """A user is noted as the emulator notes the one of a password."""
    users, noted = tmp_path / 'users', []
    users.write_text(user_entry('admin', 'secret'))
    by_token = {'HTTP_AUTHORIZATION': 'Basic YWRtaW46c2VjcmV0'}
    by_password = {**by_token, 'PATH_INFO': f'{ROOT}/Systems'}
    middleware = main.RedfishAuthMiddleware(
        lambda environ, _: noted.append(environ), str(users)
    )

    middleware(by_password, None)
    internals.set_user(by_token, 'admin')

    assert noted == [{**by_token, 'PATH_INFO': f'{ROOT}/Systems'}]


@pytest.mark.parametrize(
    'password, fits',
    [('secret', True), ('wrong', False), ('a\0b', False), ('', False)],
)
def test_passwords(password, fits):
    """A password fits the entry that it was made for, and no other."""
    assert (
        internals.fits(user_entry('admin', 'secret').strip(), password) == fits
    )


def test_a_token_passes(emulator, tmp_path):
    """The emulator serves a client that has the token of a session."""
    users = tmp_path / 'users'
    users.write_text(user_entry('admin', 'secret'))
    app, before = emulator.app, emulator.app.wsgi_app
    systems = f'{emulator.url}{ROOT}/Systems'
    app.configure(extra_config={'SUSHY_EMULATOR_AUTH_FILE': str(users)})
    try:
        made = requests.post(
            f'{emulator.url}{ROOT}/SessionService/Sessions',
            json={'UserName': 'admin', 'Password': 'secret'},
        )
        token = {'X-Auth-Token': made.headers['X-Auth-Token']}

        assert requests.get(systems).status_code == 401
        assert requests.get(systems, headers=token).status_code == 200
    finally:
        app.wsgi_app = before
        del app.config['SUSHY_EMULATOR_AUTH_FILE']


# Systems -------------------------------------------------------------------


def test_handles_of_domains(libvirt_app, libvirt_host):
    """What the emulator keeps of domains is counted, and can be dropped."""
    driver = internals.systems(libvirt_app)
    (uuid,) = driver.systems
    assert internals.count_handles(driver) == 0

    driver.get_power_state(uuid)

    assert internals.count_handles(driver) > 0
    internals.forget_handles(driver)
    assert internals.count_handles(driver) == 0
    assert driver.get_power_state(uuid) == 'On'


@pytest.mark.parametrize('known', ['fake', fakedriver.DEFAULT_UUID])
def test_identity_of_a_system(stock, known):
    """Its UUID and its name, by either; none where there is no such system."""
    stock.config['SUSHY_EMULATOR_FAKE_DRIVER'] = True
    driver = internals.systems(stock)

    assert internals.identity(driver, known) == (
        fakedriver.DEFAULT_UUID,
        'fake',
    )
    assert internals.identity(driver, 'other') is None


def test_systems_are_locked(emulator, monkeypatch):
    """While an operation has a system, no request of the emulator has it."""
    monkeypatch.setattr(locks, 'REQUEST_TIMEOUT', 0.1)
    service = f'{emulator.url}{ROOT}'
    system = f'{service}/Systems/{emulator.system}'
    update = f'{service}/UpdateService/Actions/UpdateService.SimpleUpdate'
    changes = {
        system: ('PATCH', {'IndicatorLED': 'Off'}),
        update: ('POST', {'ImageURI': 'http://a/b', 'Targets': [system]}),
    }
    with emulator.app.extensions['hawkfish'].locks.system(UUID, 10):
        for url, (method, body) in changes.items():
            refused = requests.request(method, url, json=body)

            assert refused.status_code == 503
            (message,) = refused.json()['error']['@Message.ExtendedInfo']
            assert message['MessageId'].endswith('.SystemLocked')
        assert requests.get(system).status_code == 200
    method, body = changes[system]
    assert requests.request(method, system, json=body).status_code == 204


def test_resources_have_our_links(emulator):
    """What leads to ours is in the emulator's resources."""

    def get(path):
        return requests.get(f'{emulator.url}{ROOT}{path}').json()

    system = f'/Systems/{emulator.system}'

    assert 'SessionService' in get('')
    assert 'Snapshots' in get(system)['Oem']['HawkFish']
    registries = [m['@odata.id'] for m in get('/Registries')['Members']]
    assert f'{ROOT}/Registries/HawkFish.1.0' in registries
    assert len(registries) > 1
    assert 'CompletedTaskOverWritePolicy' in get('/TaskService')
    assert get(f'{system}/VirtualMedia/Cd')['Inserted'] is False


# Virtual media -------------------------------------------------------------


def test_notes_of_virtual_media(stock, image):
    """An insertion is noted, and the note can be changed to another file."""
    assert internals.media_note(stock, UUID, 'Cd') is None
    copy = pathlib.Path(stock.vmedia.insert_image(UUID, 'Cd', image))
    note = internals.media_note(stock, UUID, 'Cd')
    assert internals.noted_file(note, UUID) == f'boot-x-iso-{UUID}.img'

    internals.note_ejected(stock, UUID, 'Cd')

    assert not copy.exists()
    note = internals.media_note(stock, UUID, 'Cd')
    assert internals.noted_file(note, UUID) == ''
    assert not stock.vmedia.get_device_image_info(UUID, 'Cd').inserted

    internals.note_inserted(stock, UUID, 'Cd', '/pool/other.iso')

    note = internals.media_note(stock, UUID, 'Cd')
    assert internals.noted_file(note, UUID) == 'other.iso'
    info = stock.vmedia.get_device_image_info(UUID, 'Cd')
    assert (info.image_name, info.inserted) == ('other.iso', True)
    assert info.write_protected


def test_name_of_an_uploaded_image(libvirt_app, libvirt_host, image, tmp_path):
    """The libvirt driver uploads an image under the name that we expect."""
    pool = libvirt_host.storagePoolCreateXML(
        '<pool type="dir"><name>default</name><target>'
        f'<path>{tmp_path}</path></target></pool>'
    )
    systems = internals.systems(libvirt_app)
    (uuid,) = systems.systems
    copy = libvirt_app.vmedia.insert_image(uuid, 'Cd', image)
    # This hypervisor has volumes, but takes no data for them.
    with pytest.raises(Exception, match='virStorageVolUpload'):
        systems.set_boot_image(uuid, 'Cd', copy)

    note = internals.media_note(libvirt_app, uuid, 'Cd')

    (volume,) = pool.listAllVolumes()
    assert volume.name() == internals.noted_file(note, uuid)


@pytest.mark.parametrize(
    'drive, shown',
    [
        ('', ('', False)),
        ('/pool/other.iso', ('other.iso', True)),
        (f'/pool/boot-x-iso-{UUID}.img', ('boot.x.iso', True)),
    ],
)
def test_a_note_follows_its_drive(stock, image, drive, shown):
    """A note is changed where something else is in the drive, only then."""
    stock.vmedia.insert_image(UUID, 'Cd', image)
    path = f'{ROOT}/Systems/{UUID}/VirtualMedia/Cd'
    stock.register_blueprint(main.vmctl.virtual_media)
    media = {'Cd': drive} if drive else {}

    with stock.test_request_context(path):
        virtual_media.update_note(flask.request, UUID, media)

    info = stock.vmedia.get_device_image_info(UUID, 'Cd')
    assert (info.image_name, info.inserted) == shown
    assert internals.media_note(stock, UUID, 'Floppy')


def test_a_note_follows_its_drive_back(stock, image):
    """A note that was changed does not pass for that of the first image."""
    stock.vmedia.insert_image(UUID, 'Cd', image)
    path = f'{ROOT}/Systems/{UUID}/VirtualMedia/Cd'
    stock.register_blueprint(main.vmctl.virtual_media)
    first = f'boot-x-iso-{UUID}.img'

    for name in ('other.iso', first):
        with stock.test_request_context(path):
            virtual_media.update_note(
                flask.request, UUID, {'Cd': f'/pool/{name}'}
            )
        info = stock.vmedia.get_device_image_info(UUID, 'Cd')
        assert info.image_name == name


def test_what_was_never_asked_for_has_no_note(stock):
    """Where the emulator has noted nothing, nothing is noted."""
    stock.register_blueprint(main.vmctl.virtual_media)

    with stock.test_request_context(f'{ROOT}/Systems/a/VirtualMedia/Cd'):
        virtual_media.update_note(flask.request, UUID, {'Cd': '/a.iso'})

    assert internals.media_note(stock, 'a', 'Cd') is None


def test_bios_by_its_name():
    """The BIOS is served at the URIs of the standard by the same views."""
    app = flask.Flask('stock')
    for endpoint, path, methods in (
        (internals.BIOS, 'BIOS', ['GET']),
        (internals.BIOS_SETTINGS, 'BIOS/Settings', ['GET', 'PATCH']),
        (internals.RESET_BIOS, 'BIOS/Actions/Bios.ResetBios', ['POST']),
    ):
        rule = f'{ROOT}/Systems/<identity>/{path}'
        (stock,) = [r for r in main.app.url_map.iter_rules() if r.rule == rule]
        assert stock.endpoint == endpoint
        assert stock.methods - {'HEAD', 'OPTIONS'} == {*methods}
        app.add_url_rule(rule, endpoint, dict, methods=methods)

    internals.serve_bios_by_its_name(app)

    adapter = app.url_map.bind('')
    settings = f'{ROOT}/Systems/a/Bios/Settings'
    assert adapter.match(settings, 'PATCH') == (
        internals.BIOS_SETTINGS,
        {'identity': 'a'},
    )
    assert not adapter.test(f'{ROOT}/Systems/a/Bios', 'PATCH')


def test_storage_is_there_if_configured(stock):
    """An identity that is no UUID has none."""
    stock.config['SUSHY_EMULATOR_STORAGE'] = {UUID: []}

    assert internals.has_storage(stock, UUID)
    assert not internals.has_storage(stock, UUID.replace('2', '3'))
    assert not internals.has_storage(stock, 'fake')


def test_volumes_depend_on_the_driver(stock, monkeypatch):
    """The fake driver has none; one that has the method has some."""
    stock.config['SUSHY_EMULATOR_FAKE_DRIVER'] = True
    assert not internals.has_volumes(stock)

    monkeypatch.setattr(
        fakedriver.FakeDriver,
        'find_or_create_storage_volume',
        lambda self, data: data['Id'],
        raising=False,
    )
    assert internals.has_volumes(stock)


def test_code_of_errors():
    """Every error of the emulator has it."""
    template = main.app.jinja_env.get_template('error.json')
    assert internals.ERROR_CODE in template.render(message='')
