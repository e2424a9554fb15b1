"""The settings under ``[plugins.mfa]``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

POLICIES = ("off", "when_enrolled", "required", "selected")
MAX_TRUST_DAYS = 400
"""Browsers shorten a longer lifetime of a cookie (RFC 6265bis, 5.5)."""


@dataclass(frozen=True, slots=True)
class MfaSettings:
    """Settings of the policy, of authenticators, of recovery and of trusted browsers.

    ``policy`` is ``when_enrolled`` (a login requires a second factor if the user has one),
    ``required`` (everybody needs one), ``selected`` (those whom `second_factor_policy` selects
    need one) or ``off`` (no login requires one). A user who needs one and has none must
    enrol one at the first login after ``grace_days``, counted from the signup or from
    ``required_since``, an ISO date, whichever is later.

    ``trust_days`` is how many days a browser can be trusted, so that a login in it needs no second
    factor; with 0 no browser is. ``recovery_codes`` is how many codes a set has. ``issuer`` is
    the name of the site in authenticator apps, by default the setting ``site_name``.
    ``recent_factor`` is how many seconds ago a second factor must have been used at most, to
    change the authenticators of an account that has some; with ``step_up`` also to change its
    password, addresses and connections, or to close it. With ``recovery_by_email`` somebody who has
    lost all authenticators logs in with two codes, which are sent to two confirmed addresses.
    ``passkey_login`` allows logins by a passkey without a username and a password. ``passkey_signup``
    allows accounts that have a passkey instead of a password; it requires ``passkey_login``.
    """

    policy: str = "when_enrolled"
    grace_days: float = 0.0
    required_since: str = ""
    trust_days: float = 30.0
    recovery_codes: int = 10
    issuer: str = ""
    recent_factor: float = 900.0
    step_up: bool = True
    recovery_by_email: bool = False
    passkey_login: bool = True
    passkey_signup: bool = True

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise ValueError(f"policy must be one of {', '.join(POLICIES)}")
        if not 0 <= self.grace_days <= 3650:
            raise ValueError("grace_days must be 0 to 3650")
        if self.required_since:
            try:
                date.fromisoformat(self.required_since)
            except ValueError:
                raise ValueError("required_since must be a date such as 2026-03-01") from None
        if not 0 <= self.trust_days <= MAX_TRUST_DAYS:
            raise ValueError(f"trust_days must be 0 to {MAX_TRUST_DAYS}")
        if not 5 <= self.recovery_codes <= 50:
            raise ValueError("recovery_codes must be 5 to 50")
        if ":" in self.issuer or not self.issuer.isprintable():
            raise ValueError("issuer must be one line without a colon")
        if self.recent_factor <= 0:
            raise ValueError("recent_factor must be above 0")

    @property
    def since(self) -> datetime | None:
        """The time of ``required_since``, or None."""
        if not self.required_since:
            return None
        day = date.fromisoformat(self.required_since)
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
