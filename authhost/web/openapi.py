"""The OpenAPI 3.1 document of the JSON API, generated from the endpoints, also those of plugins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

from authhost_hookspecs import ApiRoute, Field

from authhost.web.context import WebContext
from authhost.web.endpoint import Endpoint, Reader
from authhost.web.problems import PROBLEM_TYPE, STATUS
from authhost.web.schemas import LOGIN, SCHEMAS, Schema, reference

GENERAL_REFUSALS = (
    "invalid_input",
    "two_credentials",
    "cross_site",
    "too_large",
    "unsupported_media_type",
    "rate_limited",
    "busy",
    "conflict",
    "vetoed",
    "internal_error",
)
"""The codes that every endpoint for POST can return."""
READING_REFUSALS = ("invalid_input", "two_credentials", "internal_error")
"""The codes that every endpoint for GET can return; ``invalid_input`` is about the setting ``web_given``."""
ADMINISTRATOR_REFUSALS = (
    "login_required",
    "not_found",
    "reauthentication_required",
    "login_unavailable",
    "vetoed",
)
"""The codes with which the endpoints of administrators refuse others, or ask for a recent login."""
OWN_NAME, OWN_KEY = "Authhost", "authhost_"
"""The prefixes of authhost's names in the document of an application."""
ACCEPTED = "Accepted: `next` lists what is still needed."
FORMATS = {"email": "email", "password": "password", "new_password": "password", "date": "date"}
CREDENTIALS = {
    "public_key_create": "RegistrationResponseJSON of Web Authentication, as text.",
    "public_key_get": "AuthenticationResponseJSON of Web Authentication, as text.",
}
CLIENT_HEADERS = [
    {
        "name": "Authhost-Client",
        "in": "header",
        "required": False,
        "description": "`app` for a program that stores tokens itself: no cookie is read or set, "
        "and new tokens are in the response.",
        "schema": {"type": "string", "enum": ["app"]},
    },
    {
        "name": "Authhost-Device",
        "in": "header",
        "required": False,
        "description": "The `device_token` of an earlier login of such a program: "
        "failed logins of other people then do not lock it out.",
        "schema": {"type": "string"},
    },
]
SECURITY_SCHEMES: Mapping[str, Schema] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The session token, for programs and apps.",
    },
}


def document(web: WebContext, endpoints: Iterable[Endpoint], readers: Iterable[Reader]) -> dict[str, Any]:
    """Return the OpenAPI document of a site."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{web.host.settings.site_name}: accounts",
            "version": version("authhost"),
            "description": "Signup, login and the management of accounts.",
        },
        "servers": [{"url": web.host.settings.base_url}],
        "paths": dict(_paths(web, endpoints, readers)),
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {**SECURITY_SCHEMES, "cookie": _cookie_scheme(web)},
        },
    }


def merged_document(own: Mapping[str, Any], application: dict[str, Any]) -> dict[str, Any]:
    """Add ``own``, the document of a web layer, to an application's OpenAPI document, and return that.

    authhost's schemas, security schemes and operation ids get a prefix, so that they replace no name of
    the application. A path of the application stays, too.
    """
    components = application.setdefault("components", {})
    for kind, values, prefix in (
        ("schemas", own["components"]["schemas"], OWN_NAME),
        ("securitySchemes", own["components"]["securitySchemes"], OWN_KEY),
    ):
        added = {prefix + name: _moved_references(each) for name, each in values.items()}
        components[kind] = {**added, **components.get(kind, {})}
    paths = {
        path: {method: _moved_operation(each) for method, each in item.items()}
        for path, item in own["paths"].items()
    }
    application["paths"] = {**paths, **application.get("paths", {})}
    return application


def _moved_operation(operation: Mapping[str, Any]) -> dict[str, Any]:
    security = [
        {OWN_KEY + name: scopes for name, scopes in each.items()} for each in operation.get("security", ())
    ]
    moved: dict[str, Any] = _moved_references(operation)
    return {**moved, "operationId": OWN_KEY + operation["operationId"], "security": security}


def _moved_references(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _moved_references(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_moved_references(each) for each in value]
    start = reference("")["$ref"]
    if isinstance(value, str) and value.startswith(start):
        return start + OWN_NAME + value.removeprefix(start)
    return value


def _cookie_scheme(web: WebContext) -> Schema:
    return {"type": "apiKey", "in": "cookie", "name": web.cookies.session}


def _paths(
    web: WebContext, endpoints: Iterable[Endpoint], readers: Iterable[Reader]
) -> Iterator[tuple[str, dict[str, Any]]]:
    base = f"{web.host.settings.web_prefix}/api"  # below the URL of the server, which contains the root
    found: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        found.setdefault(base + endpoint.path, {})["post"] = _post(endpoint)
    for reader in readers:
        found.setdefault(base + reader.path, {})["get"] = _get(reader)
    for (method, path), (name, route) in web.plugins.apis.items():
        found.setdefault(base + path, {})[method.lower()] = _of_plugin(name, route)
    yield from sorted(found.items())


def _post(endpoint: Endpoint) -> dict[str, Any]:
    refusals = (*GENERAL_REFUSALS, *endpoint.refusals, *_access_refusals(endpoint))
    needs_login = endpoint.login or endpoint.administrator
    return {
        "operationId": _operation_id("post", endpoint.path),
        "tags": [_tag(endpoint)],
        "summary": endpoint.summary,
        "parameters": CLIENT_HEADERS,
        "requestBody": _body(endpoint.fields),
        "responses": {
            "200": _response("Done.", reference(endpoint.result)),
            **(_accepted(endpoint) if not needs_login else {}),
            **_refusals(refusals),
        },
        "security": _security(required=needs_login),
    }


def _get(reader: Reader) -> dict[str, Any]:
    operation = {
        "operationId": _operation_id("get", reader.path),
        "tags": [_tag(reader)],
        "summary": reader.summary,
        "responses": {
            "200": _response("Found.", reference(reader.result)),
            **_refusals((*READING_REFUSALS, *reader.refusals, *_access_refusals(reader))),
        },
        "security": _security(required=reader.login or reader.administrator),
    }
    return {**operation, "parameters": _query(reader.fields)} if reader.fields else operation


def _tag(declared: Endpoint | Reader) -> str:
    return "administration" if declared.administrator else "accounts"


def _access_refusals(declared: Endpoint | Reader) -> tuple[str, ...]:
    if declared.administrator:
        return ADMINISTRATOR_REFUSALS
    return ("login_required",) if declared.login else ()


def _query(fields: tuple[Field, ...]) -> list[dict[str, Any]]:
    return [
        {"name": each.name, "in": "query", "required": each.required, "schema": _schema(each)}
        for each in fields
    ]


def _accepted(endpoint: Endpoint) -> dict[str, Any]:
    """Return the response 202 of an endpoint whose result describes a login."""
    if not LOGIN.keys() <= SCHEMAS[endpoint.result]["properties"].keys():
        return {}
    return {"202": _response(ACCEPTED, reference(endpoint.result))}


def _of_plugin(name: str, route: ApiRoute) -> dict[str, Any]:
    refusals = GENERAL_REFUSALS if route.method == "POST" else (*READING_REFUSALS, "vetoed")
    if route.login or route.step:
        refusals = (*refusals, "login_required")
    if route.step:
        refusals = (*refusals, "already_logged_in")
    if route.recent_login:
        refusals = (*refusals, "reauthentication_required")
    schema = dict(route.response) or {"type": "object"}
    login = {"allOf": [schema, reference("Login")]}
    may_log_in = bool(route.step) or (route.method == "POST" and not route.login)
    operation: dict[str, Any] = {
        "operationId": _operation_id(route.method.lower(), f"/{name}{route.path}"),
        "tags": [name],
        "summary": route.summary,
        "responses": {
            "200": _response("Done.", login if route.step else schema),
            **({"202": _response(ACCEPTED, login)} if may_log_in else {}),
            **_refusals(refusals),
            "default": _problem("Refused."),
        },
        "security": _security(required=route.login and not route.step),
    }
    if route.method == "POST":
        operation["parameters"] = CLIENT_HEADERS
        operation["requestBody"] = _body(route.fields)
    else:
        operation["parameters"] = _query(route.fields)
    return operation


def _security(*, required: bool) -> list[dict[str, list[str]]]:
    schemes: list[dict[str, list[str]]] = [{"cookie": []}, {"bearer": []}]
    return schemes if required else [*schemes, {}]


def _operation_id(method: str, path: str) -> str:
    return f"{method}_{path.strip('/').replace('/', '_').replace('-', '_')}"


def _body(fields: tuple[Field, ...]) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {each.name: _schema(each) for each in fields},
        "additionalProperties": False,
    }
    required = [each.name for each in fields if each.required]
    if required:
        schema["required"] = required
    return {"required": bool(required), "content": {"application/json": {"schema": schema}}}


def _schema(field: Field) -> Schema:
    if field.type == "checkbox":
        return {"type": "boolean", **({"const": True} if field.required else {})}
    schema: dict[str, Any] = {"type": "string", "maxLength": field.max_length}
    if field.required:
        schema["minLength"] = 1
    if field.type in CREDENTIALS:
        schema["contentMediaType"] = "application/json"
        schema["description"] = CREDENTIALS[field.type]
    if field.type in FORMATS:
        schema["format"] = FORMATS[field.type]
    if field.choices:
        schema["enum"] = [each.value for each in field.choices]
    return schema


def _response(description: str, schema: Schema) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {PROBLEM_TYPE: {"schema": reference("Problem")}}}


def _refusals(codes: Iterable[str]) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(STATUS.get(code, 400), []).append(code)
    return {
        str(status): _problem(", ".join(f"`{code}`" for code in found))
        for status, found in sorted(by_status.items())
    }
