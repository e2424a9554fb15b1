"""The tour's steps with social login, at a real OpenID provider on loopback."""

from __future__ import annotations

from typing import Any

from authhost.cli.tour.steps import StepRunner
from authhost.request import Request
from authhost.testing.openid import PROVIDER_ID, LocalProvider

BOB = "bob@example.org"
BOBS_PASSWORD = "an otter reads the minutes"


def social_steps(steps: StepRunner, provider: LocalProvider) -> None:
    """Run all steps, in order."""
    social, account, step = steps.host.socialaccount, steps.host.account, steps.run
    steps.token = None
    provider.set_user("bob", email=BOB, email_verified=True, name="Bob")

    def go_and_return(title: str, *hooks: str, process: str = "login", refused: str | None = None) -> Any:
        redirect = step(
            f"{title}: go to the provider",
            lambda r: social.begin(r, PROVIDER_ID, process=process),
        )
        params = provider.visit(redirect, "bob", agree=refused != "provider_denied")

        def complete(request: Request) -> Any:
            return social.complete(request, PROVIDER_ID, params=params, state_token=redirect.state_token)

        result = step(f"{title}: come back", complete, *hooks, refused=refused)
        return result, complete

    steps.chapter("Bob comes with an OpenID provider")
    go_and_return("cancelled login", refused="provider_denied")
    result, complete = go_and_return("first login", "pre_social_login", "user_signed_up", "user_logged_in")
    step("use the provider's response again", complete, refused="invalid_state")
    step("log out", account.logout, "user_logged_out")
    steps.token = None
    go_and_return("log in", "social_account_updated", "pre_social_login", "user_logged_in")
    account_id = result.account.id
    steps.chapter("He gets a password, and disconnects the provider")
    step(
        "disconnect the only login method",
        lambda r: social.disconnect(r, account_id=account_id),
        refused="last_login_method",
    )
    step("set a password", lambda r: account.set_password(r, password=BOBS_PASSWORD), "password_set")
    step(
        "disconnect",
        lambda r: social.disconnect(r, account_id=account_id),
        "social_account_removed",
    )
    go_and_return("connect", "pre_social_login", "social_account_added", process="connect")
