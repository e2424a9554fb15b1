"""What a client needs to know first: the site, and whether somebody is logged in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authhost.web.endpoint import Reader
from authhost.web.schemas import login_state
from authhost.web.visit import Visit


def session(visit: Visit) -> Mapping[str, Any]:
    visit.check_login(login=True, recent=False)
    return login_state(visit)


def site(visit: Visit) -> Mapping[str, Any]:
    host = visit.web.host
    policy = host.password_policy
    return {
        "site_name": host.settings.site_name,
        "signup_open": host.settings.signup_open,
        "email_verification": host.settings.email_verification,
        "username_at_signup": host.settings.username_at_signup,
        "password_policy": {"min_length": policy.min_length, "max_length": policy.max_length},
        "providers": [{"id": each.id, "name": each.name} for each in host.services.providers],
        "plugins": sorted(visit.web.plugins.names - visit.request.services.blocked.keys()),
    }


READERS = [
    Reader(
        path="/session",
        summary="Return who is logged in. The response 401 lists the next steps.",
        run=session,
        result="Login",
        login=True,
    ),
    Reader(
        path="/site",
        summary="Return what the site offers: providers, password policy.",
        run=site,
        result="Site",
    ),
]
