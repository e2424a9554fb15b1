"""Why a passkey or security key is refused. Each refusal belongs to the field of the credential."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Self

from authhost_hookspecs import Refused

FIELD = "credential"
"""The name of the field with the response, in the forms and endpoints of the plugin."""


def N_(text: str) -> str:
    """Mark a text for the catalogues; `WebAuthnRefused.translated` translates it."""
    return text


class WebAuthnRefused(Refused):
    """Base class. ``stable_code`` is for programs, ``text`` is the message in English."""

    stable_code: ClassVar[str]
    text: ClassVar[str]

    def __init__(self, message: str = "") -> None:
        super().__init__(self.stable_code, message or self.text, field=FIELD)

    def translated(self, gettext: Callable[[str], str]) -> Self:
        """Return the same refusal with the message in another language."""
        return type(self)(gettext(self.text))


class InvalidCredential(WebAuthnRefused):
    """The response is no JSON of a credential, or does not verify."""

    stable_code = "invalid_credential"
    text = N_("The response of the passkey or security key cannot be used. Please try again.")


class MissingCredential(WebAuthnRefused):
    """A form without the response, such as from a browser without JavaScript."""

    stable_code = "missing_credential"
    text = N_(
        "Use your passkey or security key, for which the browser needs JavaScript, or use another method."
    )


class UnknownCredential(WebAuthnRefused):
    """No account has this credential, or another account than this one."""

    stable_code = "unknown_credential"
    text = N_("This passkey or security key is not registered here.")


class ChallengeExpired(WebAuthnRefused):
    """The challenge is older than `CHALLENGE_SECONDS`."""

    stable_code = "challenge_expired"
    text = N_("That has taken too long. Please try again.")


class ChallengeUsed(WebAuthnRefused):
    """The challenge was used before: the form was sent twice, or the response was stolen."""

    stable_code = "challenge_used"
    text = N_("This response was used already. Please try again.")


class ClonedCredential(WebAuthnRefused):
    """The signature counter has not risen, so there may be a copy of the authenticator (6.1.1)."""

    stable_code = "credential_cloned"
    text = N_("There may be a copy of this security key. Please use another method, and remove this one.")
