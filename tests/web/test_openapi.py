"""The OpenAPI document: each code that a flow raises, below a path, and inside an application's document."""

from __future__ import annotations

import json
import re

import pytest
from authhost_hookspecs import AccountChanges, ApiRoute, hookimpl
from pydantic import BaseModel

from authhost import errors
from authhost.testing.web_client import WebClient
from authhost.web.openapi import merged_document
from authhost.web.problems import STATUS, TEXTS
from authhost.web.schemas import SCHEMAS

FLOWS = {
    "/signup": "account.signup",
    "/login": "account.login",
    "/login/cancel": "account.cancel_login",
    "/logout": "account.logout",
    "/reauthenticate": "account.reauthenticate",
    "/close": "account.deactivate",
    "/impersonation/begin": "users.begin_impersonation",
    "/impersonation/stop": "account.stop_impersonation",
    "/confirm-email": "account.confirm_email",
    "/confirm-email/send": "account.send_confirmation",
    "/confirm-email/change": "account.change_pending_email",
    "/emails": "account.list_emails",
    "/emails/add": "account.add_email",
    "/emails/remove": "account.remove_email",
    "/emails/primary": "account.make_primary",
    "/password/change": "account.change_password",
    "/password/set": "account.set_password",
    "/forgot-password": "account.request_password_reset",
    "/reset-password": "account.reset_password",
    "/sessions": "account.list_sessions",
    "/sessions/end": "account.end_session",
    "/sessions/end-others": "account.end_other_sessions",
    "/connections": "socialaccount.list_accounts",
    "/connections/disconnect": "socialaccount.disconnect",
    "/social/begin": "socialaccount.begin",
    "/social/complete": "socialaccount.complete",
    "/social/signup": "socialaccount.signup",
}
"""The flow of each endpoint. Its docstring names the errors that it raises."""
WITHOUT_FLOW = {"/site", "/session"}
CHANGES = {
    "/admin/create": "create",
    "/admin/delete": "delete",
    **{
        f"/admin/user/{name.replace('_', '-')}": name
        for name in (
            *("invite", "add_email", "verify_email", "make_primary", "remove_email", "send_reset"),
            *("require_reset", "disconnect", "end_session", "end_sessions", "deactivate", "reactivate"),
            *("impersonate", "export", "remove_factors"),
        )
    },
}
"""The change of each endpoint of administrators. Its docstring names the refusals."""
LISTS = {"/admin", "/admin/user"}


def raised(flow):
    """Return the codes of the errors that the docstring of a flow names."""
    word = "Raises" if "Raises" in flow.__doc__ else "raises"
    names = re.findall(r"`(\w+)`", flow.__doc__.partition(word)[2])
    found = [getattr(errors, name, None) for name in names]
    return {each.code for each in found if isinstance(each, type) and issubclass(each, errors.AuthError)}


def listed(operation):
    """Return the codes that an operation lists, with the status."""
    return {
        code: int(status)
        for status, response in operation["responses"].items()
        for code in re.findall(r"`(\w+)`", response["description"])
        if status.isdigit() and int(status) >= 400
    }


def operations(document):
    return [(path, each) for path, item in document["paths"].items() for each in item.values()]


def test_each_endpoint_is_compared_with_its_flow(web):
    assert {path.removeprefix("/account/api") for path in web.openapi["paths"]} == {
        *FLOWS,
        *WITHOUT_FLOW,
        *CHANGES,
        *LISTS,
    }


@pytest.mark.parametrize("path", FLOWS)
def test_every_code_that_a_flow_raises_is_listed(web, path):
    group, name = FLOWS[path].split(".")
    flow = getattr(getattr(web.host, group), name)
    (operation,) = web.openapi["paths"][f"/account/api{path}"].values()
    missing = raised(flow) - set(listed(operation))
    assert not missing, f"{path}: {flow.__name__} raises {sorted(missing)}"


@pytest.mark.parametrize("path", CHANGES)
def test_every_refusal_of_an_administrative_change_is_listed(web, path):
    documented = getattr(AccountChanges, CHANGES[path]).__doc__.partition("Refusal")[2]
    codes = {each for each in re.findall(r"``(\w+)``", documented) if each in STATUS or each in TEXTS}
    (operation,) = web.openapi["paths"][f"/account/api{path}"].values()
    assert codes <= set(listed(operation)), f"{path}: {codes - set(listed(operation))}"
    assert {"login_required", "not_found", "reauthentication_required"} <= set(listed(operation))


def test_the_docstrings_are_read(web):
    assert {"invalid_credentials", "rate_limited", "busy"} <= raised(web.host.account.login)
    assert "username_taken" in raised(web.host.account.signup)


def test_every_listed_code_is_explained_with_its_status(web):
    explained = json.loads(WebClient(web).send("GET", "/account/api/problems").body)
    for path, operation in operations(web.openapi):
        for code, status in listed(operation).items():
            assert explained[code]["status"] == status, (path, code)
            assert explained[code]["title"].endswith(".")
    assert set(explained) == {*TEXTS, *STATUS}


def test_the_explanation_is_in_the_persons_language(web):
    client = WebClient(web)
    german = json.loads(client.get("/api/problems", **{"Accept-Language": "de"}).body)
    english = json.loads(client.get("/api/problems").body)
    assert german["invalid_key"]["title"] != english["invalid_key"]["title"]


def test_only_a_login_can_wait(web):
    waiting = {
        path.removeprefix("/account/api")
        for path, each in operations(web.openapi)
        if "202" in each["responses"]
    }
    assert {"/signup", "/login", "/confirm-email/change", "/social/complete"} <= waiting
    assert not waiting & {"/logout", "/emails/add", "/password/change", "/sessions/end"}


def test_every_schema_is_used_and_described_once(web):
    text = json.dumps(web.openapi)
    for name in SCHEMAS:
        assert f'"#/components/schemas/{name}"' in text


def test_paths_are_relative_to_the_address_of_an_application_below_a_path(open_site):
    site = open_site(base_url="https://example.org/shop", web_prefix="/people")
    assert site.openapi["servers"] == [{"url": "https://example.org/shop"}]
    assert "/people/api/login" in site.openapi["paths"]
    problem = WebClient(site).api("/session", method="GET")
    assert problem[0] == 401
    assert problem[1]["type"] == "/shop/people/api/problems#login_required"
    assert problem[1]["next"][0]["path"] == "/shop/people/api/login"


ODD_SCHEMA = {
    "type": "object",
    "properties": {
        "security": {"type": "string"},
        "schemas": {"$ref": "#/components/schemas/User"},
        "securitySchemes": {"type": "object"},
        "$ref": {"type": "string"},
    },
}


class Odd:
    """A plugin whose result has properties with the names of OpenAPI's own keys."""

    @hookimpl
    def register_routes(self):
        return [ApiRoute("GET", "/odd", lambda request, values: {}, "Read it.", response=ODD_SCHEMA)]


def own_names(document):
    """Return what an application has, by kind."""
    return {
        "schemas": dict(document["components"].get("schemas", {})),
        "securitySchemes": dict(document["components"].get("securitySchemes", {})),
        "paths": dict(document["paths"]),
    }


def test_no_name_of_the_application_is_replaced(open_site):
    site = open_site({"shop": Odd()})
    names = [*SCHEMAS, *(f"Authhost{name}" for name in SCHEMAS)]
    application = {
        "openapi": "3.1.0",
        "info": {"title": "Shop", "version": "1"},
        "paths": {"/account/api/login": {"post": {"operationId": "post_login"}}, "/": {}},
        "components": {
            "schemas": {name: {"title": f"the application's {name}"} for name in names},
            "securitySchemes": {"cookie": {"type": "http"}, "authhost_bearer": {"type": "http"}},
        },
    }
    before = own_names(json.loads(json.dumps(application)))
    merged = merged_document(site.openapi, application)
    for kind, values in before.items():
        found = merged["paths"] if kind == "paths" else merged["components"][kind]
        assert {name: found[name] for name in values} == values, kind
    assert site.openapi["components"]["schemas"]["User"] == SCHEMAS["User"]


def test_the_merged_names_lead_somewhere(open_site):
    validator = pytest.importorskip("openapi_spec_validator", reason="SKIPPED: openapi-spec-validator")
    site = open_site({"shop": Odd()})
    application = {"openapi": "3.1.0", "info": {"title": "Shop", "version": "1"}, "paths": {}}
    merged = json.loads(json.dumps(merged_document(site.openapi, application)))
    properties = merged["paths"]["/account/api/shop/odd"]["get"]["responses"]["200"]["content"][
        "application/json"
    ]["schema"]["properties"]
    assert properties["security"] == {"type": "string"}
    assert properties["schemas"] == {"$ref": "#/components/schemas/AuthhostUser"}
    for reference in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(merged)):
        assert reference in merged["components"]["schemas"]
    for path, operation in operations(merged):
        assert operation["operationId"].startswith("authhost_"), path
        for each in operation["security"]:
            assert set(each) <= set(merged["components"]["securitySchemes"])
    del properties["$ref"]  # valid in JSON Schema, but the validator takes it for a reference
    validator.validate(merged)


class User(BaseModel):
    """A model of an application, with the name of one of authhost's schemas."""

    nickname: str


def test_it_merges_into_an_applications_document(open_site):
    pytest.importorskip("fastapi")
    from fastapi import FastAPI

    from authhost.web.fastapi import mount

    app = FastAPI(title="Shop")

    @app.get("/people")
    def people() -> list[User]:
        return []

    mount(app, open_site().host)
    document = app.openapi()
    assert document == app.openapi()
    assert document["info"]["title"] == "Shop"
    assert {"/people", "/account/api/login"} <= set(document["paths"])
    assert list(document["components"]["schemas"]["User"]["properties"]) == ["nickname"]
    assert "email" in document["components"]["schemas"]["AuthhostUser"]["properties"]
    validator = pytest.importorskip("openapi_spec_validator", reason="SKIPPED: openapi-spec-validator")
    validator.validate(document)


def test_the_documentation_page_of_fastapi(open_site):
    fastapi = pytest.importorskip("fastapi", reason="SKIPPED: run `pip install fastapi`")
    pytest.importorskip("httpx2", reason="SKIPPED: run `pip install httpx2`")
    from fastapi.testclient import TestClient

    from authhost.web.fastapi import mount

    app = fastapi.FastAPI(title="Shop")

    @app.post("/login", operation_id="post_login")
    def login() -> dict[str, str]:
        return {"by": "the application"}

    mount(app, open_site(base_url="https://example.org/shop").host)
    with TestClient(app, base_url="https://example.org", root_path="/shop") as client:
        page = client.get("/docs")
        assert page.status_code == 200
        assert "/shop/openapi.json" in page.text
        document = client.get("/openapi.json").json()
        assert document == client.get("/openapi.json").json()
        assert document["servers"] == [{"url": "/shop"}]
        assert document["paths"]["/login"]["post"]["operationId"] == "post_login"
        merged = document["paths"]["/account/api/login"]["post"]
        assert merged["operationId"] == "authhost_post_login"
        ids = [each["operationId"] for _, each in operations(document)]
        assert len(ids) == len(set(ids))
        assert client.post("/login").json() == {"by": "the application"}
