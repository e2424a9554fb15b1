"""The JSON endpoints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from authhost_hookspecs import Request, Values

from authhost_mfa import (
    authenticators,
    enrolment,
    key_enrolment,
    management,
    passkey_login,
    passkey_signup,
    reauthentication,
    recovery_codes,
    steps,
    trusted_browsers,
)
from authhost_mfa.access import current_user, needs_recent_factor
from authhost_mfa.enrolment import Setup
from authhost_mfa.personal_data import authenticator_json
from authhost_mfa.recovery_codes import CodeSet

TEXT, TIME, NUMBER, BOOLEAN = (
    {"type": "string"},
    {"type": "string", "format": "date-time"},
    {"type": "integer"},
    {"type": "boolean"},
)


def _object(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


LIST = _object(
    authenticators=_list(
        _object(
            id=TEXT,
            kind=TEXT,
            name=TEXT,
            second_factor=BOOLEAN,
            created_at=TIME,
            last_used_at={"type": ["string", "null"], "format": "date-time"},
        )
    ),
    recovery_codes=NUMBER,
    second_factor_needed=BOOLEAN,
)
SETUP = _object(secret=TEXT, uri=TEXT, setup=TEXT)
OPTIONS = _object(options={"type": "object"})
"""PublicKeyCredentialCreationOptionsJSON or PublicKeyCredentialRequestOptionsJSON of Web Authentication."""
ENROLMENT = _object(secret=TEXT, uri=TEXT, setup=TEXT, options={"type": "object"})
NEW_ACCOUNT = _object(options={"type": "object"}, setup=TEXT)
CODES = _object(recovery_codes=_list(TEXT))
BROWSERS = _object(
    trusted_browsers=_list(
        _object(id=TEXT, user_agent=TEXT, created_at=TIME, expires_at=TIME, is_this=BOOLEAN)
    )
)


def list_authenticators(request: Request, values: Values) -> Mapping[str, Any]:
    """Return the authenticators, and whether a change needs a second factor first."""
    user = current_user(request)
    return {
        "authenticators": [
            {"id": str(each.id), **authenticator_json(each)}
            for each in authenticators.of_user(request, user.id)
        ],
        "recovery_codes": recovery_codes.count(request, user.id),
        "second_factor_needed": needs_recent_factor(request, user),
    }


def remove(request: Request, values: Values) -> None:
    """Remove an authenticator."""
    management.remove(request, str(values["authenticator_id"]))


def begin_app(request: Request, values: Values) -> Mapping[str, Any]:
    """Return a new secret for the logged-in user."""
    return _setup(enrolment.begin_in_session(request))


def add_app(request: Request, values: Values) -> Mapping[str, Any]:
    """Add an authenticator app; return the recovery codes, if there were none."""
    return _codes(enrolment.add_in_session(request, values))


def begin_enrolment(request: Request, values: Values) -> Mapping[str, Any]:
    """Return a new secret, and options for a key, for the user of the pending login."""
    return {**_setup(steps.begin_enrolment(request)), **_options(steps.begin_key_enrolment(request))}


def enrol(request: Request, values: Values) -> Mapping[str, Any]:
    """Complete the login by adding an app or a key; return the recovery codes."""
    return _codes(steps.enrol(request, values))


def begin_verification(request: Request, values: Values) -> Mapping[str, Any]:
    """Return the options for a key of the pending login."""
    return _options(steps.begin_verification(request))


def send_mailbox_codes(request: Request, values: Values) -> None:
    """Send codes to two addresses of the account."""
    steps.send_mailbox_codes(request)


def begin_reauthentication(request: Request, values: Values) -> Mapping[str, Any]:
    """Return the options for a key of the logged-in user."""
    return _options(reauthentication.begin(request))


def begin_passkey_login(request: Request, values: Values) -> Mapping[str, Any]:
    """Return the options for a login by a passkey."""
    return _options(passkey_login.begin(request))


def begin_signup(request: Request, values: Values) -> Mapping[str, Any]:
    """Return the options for the passkey of a new account."""
    setup = passkey_signup.begin(request, values)
    return {**_options(setup.options), "setup": setup.sealed}


def sign_up(request: Request, values: Values) -> Mapping[str, Any]:
    """Create an account with a passkey; return the recovery codes, if the policy requires a second factor."""
    return _codes(passkey_signup.sign_up(request, values, is_page=False))


def begin_key(request: Request, values: Values) -> Mapping[str, Any]:
    """Return the options for a new key of the logged-in user."""
    return _options(key_enrolment.begin_in_session(request))


def add_key(request: Request, values: Values) -> Mapping[str, Any]:
    """Add a key of the logged-in user; return the recovery codes."""
    return _codes(key_enrolment.add_in_session(request, values))


def rename_key(request: Request, values: Values) -> None:
    """Rename a key."""
    management.rename(request, str(values["authenticator_id"]), str(values["name"]))


def set_second_factor(request: Request, values: Values) -> Mapping[str, Any]:
    """Make a key a second factor, or no longer one; return the recovery codes."""
    identifier, wanted = str(values["authenticator_id"]), bool(values["second_factor"])
    return _codes(management.set_second_factor(request, identifier, second_factor=wanted))


def replace_codes(request: Request, values: Values) -> Mapping[str, Any]:
    """Replace the recovery codes."""
    return _codes(management.replace_recovery_codes(request))


def list_browsers(request: Request, values: Values) -> Mapping[str, Any]:
    """Return the trusted browsers."""
    return {
        "trusted_browsers": [
            {
                "id": str(each.id),
                "user_agent": each.user_agent,
                "created_at": each.created_at.isoformat(),
                "expires_at": each.expires_at.isoformat(),
                "is_this": each.is_this,
            }
            for each in trusted_browsers.of_user(request, current_user(request).id)
        ]
    }


def revoke_browsers(request: Request, values: Values) -> None:
    """End the trust in one browser, or in all of them."""
    management.revoke_browsers(request, str(values["browser_id"]))


def _setup(setup: Setup) -> Mapping[str, Any]:
    return {"secret": setup.secret, "uri": setup.uri, "setup": setup.sealed}


def _options(options: str) -> Mapping[str, Any]:
    return {"options": json.loads(options)}


def _codes(codes: CodeSet | None) -> Mapping[str, Any]:
    return {"recovery_codes": list(codes.codes) if codes is not None else []}
