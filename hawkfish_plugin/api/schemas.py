# SPDX-License-Identifier: Apache-2.0
"""
The descriptions of the service over HTTP.

Owns ``/redfish``, ``odata``, ``$metadata``, and the files of schemas and
message registries.  The collection of registries is the emulator's; where the
emulator serves none, ``emulator`` calls ours.
"""

import flask

from hawkfish_plugin import messages
from hawkfish_plugin.api import queries
from hawkfish_plugin.api.access import missing
from hawkfish_plugin.api.answers import answer
from hawkfish_plugin.api.blueprint import blueprint
from hawkfish_plugin.emulator import internals
from hawkfish_plugin.redfish import schemas
from hawkfish_plugin.redfish.common import Resource, link
from hawkfish_plugin.redfish.service_root import service_root

XML = 'application/xml'


def show_versions() -> flask.Response:
    return answer(schemas.versions())


@blueprint.record
def _above_the_prefix(state: flask.blueprints.BlueprintSetupState) -> None:
    state.app.add_url_rule(
        '/redfish', f'{blueprint.name}.show_versions', show_versions
    )


@blueprint.get('/odata')
def show_service_document() -> flask.Response:
    queries.check(())
    root = service_root(internals.service_root(flask.current_app))
    return answer(schemas.service_document(root))


@blueprint.get('/$metadata')
def show_metadata() -> flask.Response:
    queries.check(())
    return flask.Response(schemas.metadata(), content_type=XML)


@blueprint.get('/Schemas/<name>')
def show_csdl(name: str) -> flask.Response:
    queries.check(())
    if name not in schemas.csdl_files():
        raise missing()
    return flask.Response(schemas.csdl_files()[name], content_type=XML)


@blueprint.get('/JsonSchemas')
def list_json_schemas() -> flask.Response:
    return answer(
        queries.listing(
            schemas.json_schema_ids(),
            schemas.json_schema_uri,
            schemas.json_schema_file,
            schemas.json_schema_collection,
        )
    )


@blueprint.get('/JsonSchemas/<name>')
def show_json_schema(name: str) -> flask.Response:
    """The resource of a schema file, or the file itself."""
    queries.check(())
    if name in schemas.json_files():
        return flask.Response(
            schemas.json_files()[name], content_type='application/json'
        )
    if f'{name}.json' not in schemas.json_files():
        raise missing()
    return answer(schemas.json_schema_file(name))


def list_no_registries() -> flask.Response:
    """The list of registries where the emulator serves none."""
    return answer(schemas.registry_collection(()))


def registry_links() -> list[Resource]:
    names = [*messages.published(), schemas.PRIVILEGE_FILE]
    return [link(schemas.registry_uri(name)) for name in names]


@blueprint.get('/Registries/<name>')
def show_registry(name: str) -> flask.Response:
    """The resource of a registry file, or the file itself."""
    queries.check(())
    known = messages.published()
    if name in known:
        return answer(schemas.registry_file(name))
    if name == schemas.PRIVILEGE_FILE:
        return answer(schemas.privilege_file())
    for content in known.values():
        if name == f'{content["Id"]}.json':
            return answer(content)
    raise missing()
