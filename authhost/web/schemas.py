"""The JSON results of the API: the functions that make them, and their schemas for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from authhost_hookspecs import EmailAddress, FlowError, User

from authhost.account.pending import waiting_steps
from authhost.errors import Vetoed
from authhost.records import PendingStep, Session, SocialAccount

if TYPE_CHECKING:
    from authhost.web.visit import Visit

Schema = Mapping[str, Any]
STRING: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
UUID: Schema = {"type": "string", "format": "uuid"}


def user_json(user: User) -> dict[str, Any]:
    """Return a user for a response: nothing that others must not know of the account."""
    return {
        "id": str(user.id),
        "email": user.email,
        "email_verified": user.email_verified,
        "username": user.username,
        "has_usable_password": user.has_usable_password,
        "date_joined": user.date_joined.isoformat(),
        "last_login": user.last_login.isoformat() if user.last_login else None,
    }


def account_json(user: User) -> dict[str, Any]:
    """Return a user for an administrator."""
    until = user.deactivated_until
    return {
        **user_json(user),
        "is_active": user.is_active,
        "deactivated_until": until.isoformat() if until else None,
        "deactivation_reason": user.deactivation_reason,
        "login_guards": list(user.login_guards),
    }


def email_json(address: EmailAddress) -> dict[str, Any]:
    """Return an address for a response."""
    return {"email": address.email, "verified": address.verified, "primary": address.primary}


def session_json(session: Session, current: Session | None) -> dict[str, Any]:
    """Return a session for a response."""
    return {
        "id": str(session.id),
        "current": current is not None and session.id == current.id,
        "created_at": session.created_at.isoformat(),
        "last_seen_at": session.last_seen_at.isoformat(),
        "expires_at": session.expires_at.isoformat(),
        "method": session.method,
        "provider": session.provider,
        "ip_address": session.ip_address,
        "user_agent": session.user_agent,
    }


def connection_json(account: SocialAccount) -> dict[str, Any]:
    """Return a connected account for a response."""
    return {
        "id": str(account.id),
        "provider": account.provider,
        "uid": account.uid,
        "name": account.name,
        "username": account.username,
        "date_joined": account.date_joined.isoformat(),
    }


def login_state(visit: Visit, steps: tuple[PendingStep, ...] = ()) -> dict[str, Any]:
    """Return who is logged in, and the next steps of somebody who is not.

    ``steps`` are those of a login that waits while somebody is logged in.
    """
    user = visit.request.user
    return {
        "authenticated": user is not None,
        "user": user_json(user) if user is not None else None,
        "impersonation": _impersonation_json(visit),
        "next": next_steps(visit) if user is None else _steps_json(visit, steps),
    }


def _impersonation_json(visit: Visit) -> dict[str, Any] | None:
    """Return how long an administrator can work in the account, and where it is stopped; else None."""
    session = visit.request.session
    if session is None or session.actor is None:
        return None
    return {"expires_at": session.expires_at.isoformat(), "stop": visit.url("/api/impersonation/stop")}


def _steps_json(visit: Visit, steps: tuple[PendingStep, ...]) -> list[dict[str, Any]]:
    api = visit.url("/api")
    return [{"step": each.key, "path": api + each.path, "methods": list(each.methods)} for each in steps]


def next_steps(visit: Visit) -> list[dict[str, Any]]:
    """Return the steps with which this client can log in, or can confirm its login again."""
    api, settings = visit.url("/api"), visit.web.host.settings
    providers = [each.id for each in visit.web.host.services.providers]
    user = visit.request.user
    steps: list[dict[str, Any]] = []
    if user is not None:
        if user.has_usable_password:
            steps.append({"step": "reauthenticate", "path": f"{api}/reauthenticate"})
        steps += _reauthentications_of_plugins(visit)
        connected = {each.provider for each in visit.web.host.socialaccount.list_accounts(visit.request)}
        providers = [each for each in providers if each in connected]
    else:
        with suppress(FlowError):  # a plugin fails or is missing: the login can only be begun again
            steps += _steps_json(visit, waiting_steps(visit.request))
        steps.append({"step": "login", "path": f"{api}/login"})
        if settings.signup_open:
            steps.append({"step": "signup", "path": f"{api}/signup"})
    if providers:
        steps.append({"step": "social", "path": f"{api}/social/begin", "providers": providers})
    return steps


def _reauthentications_of_plugins(visit: Visit) -> list[dict[str, Any]]:
    """Return the endpoints of what plugins offer on the page that asks for a proof (`Panel`)."""
    paths: dict[str, None] = {}
    for section in visit.web.plugins.sections(visit.request, "reauthenticate"):
        found = [*(form.action for form in section.forms), *(link.target for link in section.links)]
        paths |= dict.fromkeys(path for path in found if ("POST", path) in visit.web.plugins.apis)
    return [{"step": path[1:].replace("/", "."), "path": visit.url(f"/api{path}")} for path in paths]


def steps_of_refusal(visit: Visit, error: FlowError) -> list[dict[str, Any]]:
    """Return the endpoint on which the person can do what is missing, if a plugin's refusal names one."""
    path = str(error.fields.get("path", "")) if isinstance(error, Vetoed) else ""
    if ("POST", path) not in visit.web.plugins.apis:
        return []
    step = f"{error.fields['plugin']}.{error.fields['plugin_code']}"
    return [{"step": step, "path": visit.url(f"/api{path}")}]


def _object(properties: Schema, *optional: str) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": dict(properties), "required": required}


def _nullable(schema: Schema) -> Schema:
    if "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def _array(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def reference(name: str) -> Schema:
    """Return the reference to a schema of the OpenAPI document."""
    return {"$ref": f"#/components/schemas/{name}"}


def _result(*optional: str, **properties: Schema) -> Schema:
    """Return the schema of the result of a POST: also the new tokens, and the messages of plugins."""
    added = {**TOKENS, "messages": _array(reference("Message"))}
    return _object({**properties, **added}, *optional, *added)


LOGIN: Schema = {
    "authenticated": BOOLEAN,
    "user": _nullable(reference("User")),
    "impersonation": _nullable(reference("Impersonation")),
    "next": _array(reference("Step")),
}
TOKENS: Schema = {"session_token": STRING, "pending_token": STRING, "device_token": STRING}
"""Of each result: the tokens that are new for a client without cookies."""
USER: Schema = {
    "id": UUID,
    "email": _nullable(STRING),
    "email_verified": BOOLEAN,
    "username": _nullable(STRING),
    "has_usable_password": BOOLEAN,
    "date_joined": TIME,
    "last_login": _nullable(TIME),
}
ACCOUNT: Schema = {
    **USER,
    "is_active": BOOLEAN,
    "deactivated_until": _nullable(TIME),
    "deactivation_reason": _nullable(STRING),
    "login_guards": _array(STRING),
}
"""A user as administrators see it."""
SCHEMAS: dict[str, Schema] = {
    "Empty": _result(),
    "User": _object(USER),
    "Account": _result(**ACCOUNT),
    "Accounts": _object(
        {"users": _array(_object(ACCOUNT)), "newer": _nullable(UUID), "older": _nullable(UUID)}
    ),
    "AccountDetails": _object(
        {
            "user": _object(ACCOUNT),
            "password_reset_required": BOOLEAN,
            "emails": _array(reference("EmailAddress")),
            "connections": _array(reference("Connection")),
            "sessions": _array(reference("Session")),
        }
    ),
    "Deleted": _result(failed=_array(STRING)),
    "Export": _result(account={"type": "object"}, plugins={"type": "object"}),
    "Step": _object(
        {"step": STRING, "path": STRING, "providers": _array(STRING), "methods": _array(STRING)},
        "providers",
        "methods",
    ),
    "Impersonation": _object({"expires_at": TIME, "stop": STRING}),
    "Login": _result(**LOGIN),
    "EmailAddress": _result(email=STRING, verified=BOOLEAN, primary=BOOLEAN),
    "EmailAddresses": _object({"emails": _array(reference("EmailAddress"))}),
    "Confirmation": _result(email=reference("EmailAddress"), recovered=BOOLEAN, **LOGIN),
    "Sent": _result(sent=BOOLEAN),
    "Removed": _result(removed={"type": "integer", "minimum": 0}),
    "Ended": _result(ended={"type": "integer", "minimum": 0}),
    "Session": _object(
        {
            "id": UUID,
            "current": BOOLEAN,
            "created_at": TIME,
            "last_seen_at": TIME,
            "expires_at": TIME,
            "method": STRING,
            "provider": _nullable(STRING),
            "ip_address": _nullable(STRING),
            "user_agent": STRING,
        }
    ),
    "Sessions": _object({"sessions": _array(reference("Session"))}),
    "Connection": _object(
        {
            "id": UUID,
            "provider": STRING,
            "uid": STRING,
            "name": _nullable(STRING),
            "username": _nullable(STRING),
            "date_joined": TIME,
        }
    ),
    "Connections": _object({"connections": _array(reference("Connection"))}),
    "SocialRedirect": _result("state_token", url=STRING, state_token=STRING),
    "Social": _result("signup_token", process=STRING, missing=_array(STRING), signup_token=STRING, **LOGIN),
    "Message": _object({"level": STRING, "text": STRING}),
    "Site": _object(
        {
            "site_name": STRING,
            "signup_open": BOOLEAN,
            "email_verification": STRING,
            "username_at_signup": STRING,
            "password_policy": _object(
                {"min_length": {"type": "integer"}, "max_length": {"type": "integer"}}
            ),
            "providers": _array(_object({"id": STRING, "name": STRING})),
            "plugins": _array(STRING),
        }
    ),
    "Problem": _object(
        {
            "type": {"type": "string", "format": "uri-reference"},
            "title": STRING,
            "status": {"type": "integer"},
            "code": STRING,
            "field": STRING,
            "reason": STRING,
            "retry_after": {"type": "number"},
            "max_age": {"type": "number"},
            "limit": {"type": "integer"},
            "plugin_code": STRING,
            "next": _array(reference("Step")),
        },
        "field",
        "reason",
        "retry_after",
        "max_age",
        "limit",
        "plugin_code",
        "next",
    ),
}
