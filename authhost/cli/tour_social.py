"""The tour's chapter on social login, against a real OpenID provider on loopback."""

from __future__ import annotations

from typing import Any

from authhost.cli.stage import Tour
from authhost.request import Request
from authhost.testing.openid import NAME, LocalProvider

BOB = "bob@example.org"


def social_chapter(tour: Tour, provider: LocalProvider) -> None:
    """All steps, in order."""
    social, account, step = tour.host.socialaccount, tour.host.account, tour.step
    tour.token = None
    provider.person("bob", email=BOB, email_verified=True, name="Bob")

    def arrive(title: str, *hooks: str, process: str = "login", refused: str | None = None) -> Any:
        redirect = step(f"{title}: to the provider", lambda r: social.begin(r, NAME, process=process))
        params = provider.visit(redirect, "bob", agree=refused != "provider_denied")

        def back(request: Request) -> Any:
            return social.complete(request, NAME, params=params, state_token=redirect.state_token)

        result = step(f"{title}: and back", back, *hooks, refused=refused)
        return result, back

    arrive("cancel there", refused="provider_denied")
    result, back = arrive("first login", "pre_social_login", "user_signed_up", "user_logged_in")
    step("use the answer again", back, refused="invalid_state")
    step("log out", account.logout, "user_logged_out")
    tour.token = None
    arrive("log in", "social_account_updated", "pre_social_login", "user_logged_in")
    identifier = result.account.id
    step(
        "disconnect the only way in",
        lambda r: social.disconnect(r, account_id=identifier),
        refused="last_login_method",
    )
    password = "an otter reads the minutes"
    step("set a password", lambda r: account.set_password(r, password=password), "password_set")
    step(
        "disconnect",
        lambda r: social.disconnect(r, account_id=identifier),
        "social_account_removed",
    )
    arrive("connect", "pre_social_login", "social_account_added", process="connect")
