"""Sample data for previews."""

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
    "count": 3,
    "user_id": "01a20dd6-0000-7000-8000-000000000000",
}
RECIPIENT = "ann@example.org"
KEY = "an-example-of-a-key-that-is-43-characters-l"
PAGES = {
    "email_confirmation": ("confirm_email", f"https://example.org/account/confirm-email/{KEY}"),
    "password_reset": ("reset_password", f"https://example.org/account/reset-password/{KEY}"),
    "invitation": ("reset_password", f"https://example.org/account/reset-password/{KEY}"),
    "signup_existing_account": ("login", "https://example.org/account/login"),
}
"""By kind of message: the page that its link leads to, and the URL with the default ``urls``."""
KINDS_WITH_LINK = tuple(PAGES)
EXPIRY_TIMES = {
    "email_confirmation": "2026-03-17T15:09:26+00:00",
    "password_reset": "2026-03-14T16:09:26+00:00",
    "invitation": "2026-03-21T15:09:26+00:00",
}


def sample(kind: str) -> Context:
    """Return sample data for a kind of message. Raises ``KeyError`` for an unknown kind."""
    if kind not in KINDS:
        raise KeyError(kind)
    link = PAGES[kind][1] if kind in PAGES else None
    return {**SAMPLE, "link": link, "expires": EXPIRY_TIMES.get(kind)}


def samples_for_host(host: Host) -> Callable[[str], Context]:
    """Return a function like `sample` that uses the name and the URLs of a host."""

    def sample_for(kind: str) -> Context:
        link = None
        if kind in PAGES:
            page = PAGES[kind][0]
            link = host.build_url(page) if page == "login" else host.build_url(page, key=KEY)
        return {**sample(kind), "site_name": host.settings.site_name, "link": link}

    return sample_for
