"""Sample data for looking at messages."""

from __future__ import annotations

from authhost_email.rendering import KINDS, Context

SAMPLE: Context = {
    "site_name": "Example",
    "verified": True,
    "name": "ann",
    "time": "2026-03-14T15:09:26+00:00",
    "expires": "2026-03-17T15:09:26+00:00",
    "ip_address": "203.0.113.7",
    "user_agent": "Firefox on Linux",
    "address": "ann@work.example.org",
    "provider": "github",
    "user_id": "01a20dd6-0000-7000-8000-000000000000",
}
RECIPIENT = "ann@example.org"
WITH_LINK = ("email_confirmation", "password_reset", "signup_existing_account")
LINK = "https://example.org/account/confirm-email/an-example-of-a-key-that-is-43-characters-long"


def sample(kind: str) -> Context:
    """What a message of that kind would be about; raises ``KeyError`` for an unknown one."""
    if kind not in KINDS:
        raise KeyError(kind)
    return {**SAMPLE, "link": LINK if kind in WITH_LINK else None}
