"""Sample data for looking at messages."""

from __future__ import annotations

from collections.abc import Callable

from authhost_hookspecs import Host

from authhost_email.rendering import KINDS, Context

SAMPLE: Context = {
    "site_name": "Example",
    "verified": True,
    "name": "ann",
    "time": "2026-03-14T15:09:26+00:00",
    "ip_address": "203.0.113.7",
    "user_agent": "Firefox on Linux",
    "address": "ann@work.example.org",
    "provider": "github",
    "user_id": "01a20dd6-0000-7000-8000-000000000000",
}
RECIPIENT = "ann@example.org"
KEY = "an-example-of-a-key-that-is-43-characters-l"
PAGES = {
    "email_confirmation": ("confirm_email", f"https://example.org/account/confirm-email/{KEY}"),
    "password_reset": ("reset_password", f"https://example.org/account/reset-password/{KEY}"),
    "signup_existing_account": ("login", "https://example.org/account/login"),
}
"""The page that a message leads to, and what that is on a site with the default ``urls``."""
WITH_LINK = tuple(PAGES)
ENDS = {"email_confirmation": "2026-03-17T15:09:26+00:00", "password_reset": "2026-03-14T16:09:26+00:00"}


def sample(kind: str) -> Context:
    """What a message of that kind would be about; raises ``KeyError`` for an unknown one."""
    if kind not in KINDS:
        raise KeyError(kind)
    link = PAGES[kind][1] if kind in PAGES else None
    return {**SAMPLE, "link": link, "expires": ENDS.get(kind)}


def sample_of(host: Host) -> Callable[[str], Context]:
    """The same with the name and the links of a site."""

    def of_site(kind: str) -> Context:
        link = None
        if kind in PAGES:
            page = PAGES[kind][0]
            link = host.build_url(page) if page == "login" else host.build_url(page, key=KEY)
        return {**sample(kind), "site_name": host.settings.site_name, "link": link}

    return of_site
