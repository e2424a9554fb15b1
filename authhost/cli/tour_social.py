"""The tour's chapter on social login, against a real OpenID provider on loopback."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from authhost.cli.stage import Tour
from authhost.errors import ConfigurationError
from authhost.records import SocialRedirect
from authhost.request import Request

BOB, NAME, TIMEOUT = "bob@example.org", "corp", 10


class Provider:
    """The provider, as the person in front of it sees it."""

    def __init__(self, url: str) -> None:
        self.url = url
        person: dict[str, Any] = {"email": BOB, "email_verified": True, "name": "Bob"}
        requests.put(f"{url}/users/bob", json=person, timeout=TIMEOUT).raise_for_status()

    @property
    def settings(self) -> dict[str, Any]:
        """What an operator sets for it."""
        return {
            "provider": "openid_connect",
            "server": self.url,
            "client_id": "tour",
            "client_secret": "of-the-tour",
            "trust_emails": True,
        }

    def visit(self, redirect: SocialRedirect, *, agree: bool = True) -> dict[str, str]:
        """Log in there and agree, or do not; return what the browser brings back."""
        form = {"sub": "bob"} if agree else {"action": "deny"}
        answer = requests.post(redirect.url, data=form, allow_redirects=False, timeout=TIMEOUT)
        back = dict(parse_qsl(urlsplit(answer.headers["Location"]).query))
        # The provider's denial lacks the state, which RFC 6749 (4.1.2.1) wants back.
        return {**dict(parse_qsl(urlsplit(redirect.url).query)), **back} if not agree else back


@contextmanager
def local_provider() -> Iterator[Provider]:
    """Run the provider; raises `ConfigurationError` where it is not installed."""
    try:
        with warnings.catch_warnings(record=True):  # of its own libraries' old ways
            from oidc_provider_mock import run_server_in_thread
    except ImportError as error:
        raise ConfigurationError(
            "the tour needs oidc-provider-mock; run `pip install 'authhost[tour]'`"
        ) from error
    for name in ("werkzeug", "oidc_provider_mock"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with run_server_in_thread() as server:
        yield Provider(f"http://localhost:{server.server_port}")


def social_chapter(tour: Tour, provider: Provider) -> None:
    """All steps, in order."""
    social, account, step = tour.host.socialaccount, tour.host.account, tour.step
    tour.token = None

    def arrive(title: str, *hooks: str, process: str = "login", refused: str | None = None) -> Any:
        redirect = step(f"{title}: to the provider", lambda r: social.begin(r, NAME, process=process))
        params = provider.visit(redirect, agree=refused != "provider_denied")

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
