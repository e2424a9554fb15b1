"""A plugin with forms for passkeys, and a virtual authenticator of Chromium."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import webauthn
from authhost_hookspecs import (
    Field,
    Form,
    Page,
    PageRoute,
    Panel,
    Refused,
    Request,
    Section,
    Values,
    hookimpl,
)
from webauthn.helpers import bytes_to_base64url, structs
from webauthn.helpers.exceptions import WebAuthnException

CREATE = Field("credential", "Passkey", "public_key_create")
GET = Field("credential", "Passkey", "public_key_get", autocomplete="webauthn")
NAME = Field("name", "Name", max_length=100)
USERNAME = Field("username", "Username", autocomplete="username webauthn", required=False)


class Keys:
    """Registers and uses passkeys on one page. The challenges and credentials are in memory."""

    def __init__(self, rp_id: str, url: str) -> None:
        self.rp_id, self.url = rp_id, url
        self.challenges: list[bytes] = []
        self.credentials: dict[str, Any] = {}
        self.names: list[str] = []
        self.used = 0

    @hookimpl
    def register_routes(self) -> list[PageRoute]:
        return [
            PageRoute("/page", self.show, login=False),
            PageRoute("/create", self.show, self.create, (NAME, CREATE), login=False),
            PageRoute("/get", self.show, self.get, (GET,), login=False),
        ]

    @hookimpl
    def register_panels(self) -> list[Panel]:
        return [Panel("login", self.panel)]

    def panel(self, request: Request) -> Section:
        return Section("Passkeys", forms=(Form("/get", "Use a passkey", (_with(GET, self._request()),)),))

    def show(self, request: Request) -> Page:
        create = Form("/create", "Register", (NAME, _with(CREATE, self._creation())))
        get = Form("/get", "Use a passkey", (_with(GET, self._request()),))
        username = Form("/create", "Next", (USERNAME,))
        text = (f"Registered: {', '.join(self.names) or 'none'}.", f"Used: {self.used}.")
        forms = (create, username) if self.used else (create, get, username)
        return Page("keys", "Passkeys", text, forms)

    def create(self, request: Request, values: Values) -> None:
        if values["name"] == "refused":
            raise Refused("refused", "No more passkeys.", field="credential")
        found = webauthn.verify_registration_response(
            credential=str(values["credential"]),
            expected_challenge=self.challenges[-2],
            expected_rp_id=self.rp_id,
            expected_origin=self.url,
        )
        self.credentials[bytes_to_base64url(found.credential_id)] = found
        self.names.append(str(values["name"]))

    def get(self, request: Request, values: Values) -> None:
        response = webauthn.helpers.parse_authentication_credential_json(str(values["credential"]))
        try:
            webauthn.verify_authentication_response(
                credential=response,
                expected_challenge=self.challenges[-1],
                expected_rp_id=self.rp_id,
                expected_origin=self.url,
                credential_public_key=self.credentials[response.id].credential_public_key,
                credential_current_sign_count=0,
            )
        except WebAuthnException:
            raise Refused("old", "This challenge is too old.", field="credential") from None
        self.used += 1

    def _creation(self) -> str:
        known = [
            structs.PublicKeyCredentialDescriptor(each.credential_id) for each in self.credentials.values()
        ]
        options = webauthn.generate_registration_options(
            rp_id=self.rp_id,
            rp_name="Teapots",
            user_name="ann",
            user_id=b"ann",
            exclude_credentials=known,
            authenticator_selection=structs.AuthenticatorSelectionCriteria(
                resident_key=structs.ResidentKeyRequirement.REQUIRED
            ),
        )
        self.challenges.append(options.challenge)
        return str(webauthn.options_to_json(options))

    def _request(self) -> str:
        options = webauthn.generate_authentication_options(rp_id=self.rp_id)
        self.challenges.append(options.challenge)
        return str(webauthn.options_to_json(options))


def _with(field: Field, options: str) -> Field:
    return replace(field, value=options)


class Authenticator:
    """A virtual authenticator of the browser of ``page``: https://www.w3.org/TR/webauthn-3/#sctn-automation."""

    def __init__(self, page: Any, **options: Any) -> None:
        self._devtools = page.context.new_cdp_session(page)
        self._devtools.send("WebAuthn.enable")
        values = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
            **options,
        }
        added = self._devtools.send("WebAuthn.addVirtualAuthenticator", {"options": values})
        self._id = added["authenticatorId"]

    def credentials(self) -> list[Any]:
        """The stored credentials."""
        found = self._devtools.send("WebAuthn.getCredentials", {"authenticatorId": self._id})
        return list(found["credentials"])

    def remove(self) -> None:
        """Take the authenticator away, with its credentials."""
        self._devtools.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": self._id})
