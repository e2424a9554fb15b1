"""Values that the plugin passes to hooks, and the names of its methods."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from authhost_hookspecs import Factor

NAME = "mfa"
"""The name of the plugin."""
TOTP, WEBAUTHN, RECOVERY_CODES = "totp", "webauthn", "recovery_codes"
"""The kinds of authenticators."""
RECOVERY_CODE = "recovery_code"
"""The method of a login with a recovery code. The other methods have the names of their kinds."""
CODE_FACTORS: tuple[Factor, ...] = ("possession",)
"""What a code proves: to have the app, or the paper. Both are "something you have" (NIST SP 800-63B-4)."""
KEY_FACTORS: tuple[Factor, ...] = ("possession",)
VERIFIED_KEY_FACTORS: tuple[Factor, ...] = ("possession", "inherence")
"""What a key proves that has verified its user. It does not tell whether by a fingerprint or by a PIN. It is
recorded as inherence, so that with a password it is more than the same kind twice.
"""
MAILBOXES = "mailboxes"
"""The method of a login with two codes that were sent to two addresses."""
METHODS = frozenset({TOTP, WEBAUTHN, RECOVERY_CODE, MAILBOXES})


class Proof(NamedTuple):
    """What was verified: the method, and what it proves."""

    method: str
    factors: tuple[Factor, ...]


@dataclass(frozen=True, slots=True)
class Authenticator:
    """An authenticator of an account, without its secrets.

    ``kind`` is ``totp``, ``webauthn`` or ``recovery_codes``; in `authentication_failed` also ``mailboxes``,
    for the codes that were sent to two addresses, without an ``id``. All recovery codes of an account are one
    authenticator: its ``id`` is None, and ``remaining`` is how many codes are left. ``name`` is the
    user's name of it, or empty. ``second_factor`` says whether a login requires it or another one.
    """

    id: UUID | None
    kind: str
    name: str
    created_at: datetime
    last_used_at: datetime | None = None
    second_factor: bool = True
    remaining: int | None = None


def factors_of_key(*, user_verified: bool) -> tuple[Factor, ...]:
    """Return what a passkey or security key has proved."""
    return VERIFIED_KEY_FACTORS if user_verified else KEY_FACTORS


def single_line(name: str) -> str:
    """Return a name in one line; what cannot be shown, such as a control character, becomes a space."""
    printable = "".join(each if each.isprintable() else " " for each in name)
    return " ".join(printable.split())
