# SPDX-License-Identifier: Apache-2.0
"""
Exports over HTTP.

Owns the routes below ``Oem/HawkFish/Exports`` of systems and of groups, and
how a bundle is sent: in parts, any range of it, to so many clients at a time.
"""

import functools
import logging
import re
from collections.abc import Iterator

import flask

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.api import queries, validation
from hawkfish_plugin.api.access import (
    check_if_match,
    find_number,
    find_system,
    found_by_uri,
    missing,
    operation,
    payload,
    services,
)
from hawkfish_plugin.api.aggregates import MEMBER as AGGREGATE
from hawkfish_plugin.api.aggregates import find_group
from hawkfish_plugin.api.answers import accepted, answer
from hawkfish_plugin.api.blueprint import blueprint
from hawkfish_plugin.api.bodies import read_body
from hawkfish_plugin.bundles.archive import Archive
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.exports import Export, Owner
from hawkfish_plugin.operations.export_now import ExportNow
from hawkfish_plugin.redfish import exports, uris

LOG = logging.getLogger(__name__)

COLLECTION = '/Systems/<identity>/Oem/HawkFish/Exports'
MEMBER = f'{COLLECTION}/<export_id>'
GROUP_COLLECTION = f'{AGGREGATE}/Oem/HawkFish/Exports'
GROUP_MEMBER = f'{GROUP_COLLECTION}/<export_id>'

_CREATE = validation.creation('HawkFishExport', 'IncludeMemory')
_TAR = 'application/x-tar'
# What a file name may have that no client has to escape.
_NO_NAME = re.compile(r'[^A-Za-z0-9._-]')
# Whoever has the last byte may ask for more before its place is free.
_PLACE_SECONDS = 2.0


@blueprint.get(COLLECTION)
@blueprint.get(GROUP_COLLECTION)
def list_exports(
    identity: str | None = None, group: str | None = None
) -> flask.Response:
    owner = _owner(identity, group)
    return answer(
        queries.listing(
            [one for one in services().exports.list(owner) if _is_shown(one)],
            lambda one: uris.export_uri(exports.place(owner), one.id),
            exports.export,
            functools.partial(
                exports.export_collection,
                owner,
                services().conf.backup.max_exports,
            ),
        )
    )


@blueprint.post(COLLECTION)
@blueprint.post(f'{COLLECTION}/Members')
def export_system(identity: str) -> flask.Response:
    system = find_system(identity)
    body = read_body()
    _CREATE.check(body)
    task = operation(ExportNow).submit(
        system,
        body.get('IncludeMemory', False),
        payload(body),
    )
    return accepted(task)


@blueprint.get(MEMBER)
@blueprint.get(GROUP_MEMBER)
def show_export(
    export_id: str, identity: str | None = None, group: str | None = None
) -> flask.Response:
    queries.check(())
    found = _find(_owner(identity, group), export_id)
    return answer(exports.export(found))


@blueprint.delete(MEMBER)
@blueprint.delete(GROUP_MEMBER)
def delete_export(
    export_id: str, identity: str | None = None, group: str | None = None
) -> flask.Response:
    found = _find(_owner(identity, group), export_id)
    read_body()
    check_if_match(lambda: exports.export(found))
    services().exports.delete(found)
    return answer(None, 204)


def _owner(identity: str | None, group: str | None) -> Owner:
    """The system, or the group, of a URI; raises ResourceMissingAtURI."""
    if group is not None:
        return Owner(group=find_group(group).name)
    return Owner(find_system(identity or '').uuid)


def _find(owner: Owner, export_id: str) -> Export:
    with found_by_uri(exceptions.ExportNotFound):
        found = services().exports.get(owner, find_number(export_id))
    if not _is_shown(found):
        raise missing()
    return found


def _is_shown(found: Export) -> bool:
    """Whether all that is in it may be served."""
    # Those that a group had then need not be those that it has.
    return not found.owner.group or all(
        services().may_serve(
            contract.System(one.source.uuid, one.source.system)
        )
        for one in found.bundle.systems
    )


# The bundle ---------------------------------------------------------------


@blueprint.get(f'{MEMBER}/bundle')
@blueprint.get(f'{GROUP_MEMBER}/bundle')
def send_bundle(
    export_id: str, identity: str | None = None, group: str | None = None
) -> flask.Response:
    queries.check(())
    found = _find(_owner(identity, group), export_id)
    if found.deleting:
        raise missing()
    size = Archive(found.bundle).size
    etag = _etag(found)
    if 'If-Match' in flask.request.headers and not (
        flask.request.if_match.contains(etag)
    ):
        raise exceptions.PreconditionFailed()
    if flask.request.if_none_match.contains_weak(etag):
        response = answer(None, 304)
        response.set_etag(etag)
        return response
    wanted = _range(size, etag)
    if wanted is not None and wanted[0] >= size:
        response = answer(None, 416)
        response.headers['Content-Range'] = f'bytes */{size}'
        return response
    begin, end = wanted or (0, size)
    response = _response(found, begin, end)
    response.content_length = end - begin
    response.set_etag(etag)
    response.headers['Accept-Ranges'] = 'bytes'
    response.headers['Content-Disposition'] = (
        f'attachment; filename="{_file_name(found)}"'
    )
    if wanted is not None:
        response.status_code = 206
        response.headers['Content-Range'] = f'bytes {begin}-{end - 1}/{size}'
    return response


def _etag(found: Export) -> str:
    # Its bytes never change, and no other gets its number.
    return f'bundle-{found.id}-{found.task}'


def _file_name(found: Export) -> str:
    return _NO_NAME.sub('_', found.bundle.title) + '.tar'


def _range(size: int, etag: str) -> tuple[int, int] | None:
    """
    The first byte that is wanted, and the one after the last.

    None is the whole: no range is asked for, or one of something else, or
    several, which nobody has to serve.  The first byte of what cannot be
    satisfied is beyond the end.
    """
    request = flask.request
    # A HEAD knows no ranges.
    wanted = request.range if request.method == 'GET' else None
    if wanted is None or wanted.units != 'bytes' or len(wanted.ranges) != 1:
        return None
    condition = request.headers.get('If-Range')
    if condition is not None and condition != f'"{etag}"':
        return None
    begin, end = wanted.ranges[0]
    if begin < 0:
        return max(0, size + begin), size
    return begin, size if end is None else min(end, size)


def _response(found: Export, begin: int, end: int) -> flask.Response:
    if flask.request.method == 'HEAD':
        return flask.Response(content_type=_TAR)
    room = services().rooms.transfers
    if not room.enter(_PLACE_SECONDS):
        raise exceptions.TooManyTransfers(room.most)
    parts = services().exports.read(found, begin, end)
    response = flask.Response(_logged(found, parts), content_type=_TAR)
    response.call_on_close(room.leave)
    response.headers['X-Accel-Buffering'] = 'no'
    return response


def _logged(found: Export, parts: Iterator[bytes]) -> Iterator[bytes]:
    """*parts*; where one cannot be read, the client sees that some lack."""
    try:
        yield from parts
    except exceptions.HawkFishError as exc:
        LOG.error(
            'The bundle %s ends too early: %r', found.id, messages.text(exc)
        )
        raise
