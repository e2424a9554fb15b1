"""A site with an administrator, for the tests of the pages of administrators."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from authhost_hookspecs import Actor
from sqlalchemy import event

from authhost import AuthHost
from authhost.records import User
from authhost.testing import PASSWORD
from authhost.testing.web_client import WebClient
from authhost.web import Web

ADMIN, ANN = "admin@example.org", "ann@example.org"
OPERATOR = Actor("operator", name="test")
SETTINGS: dict[str, Any] = {
    "base_url": "https://example.org",
    "administrators": [ADMIN],
    "email_verification": "optional",
}


class Office:
    """The browser of an administrator who has just logged in, and the account of ann."""

    def __init__(self, host: AuthHost) -> None:
        self.host, self.web = host, Web(host)
        self.admin, self.browser = self.sign_up(ADMIN)

    def sign_up(self, email: str, *, verified: bool = True) -> tuple[User, WebClient]:
        """Return a new account and the browser in which it is logged in."""
        browser = WebClient(self.web)
        status, body = browser.api("/signup", {"email": email, "password": PASSWORD})
        assert status == 200, body
        user = self.host.users.get(body["user"]["id"])
        if verified:
            self.host.users.verify_email(user.id, email, actor=OPERATOR)
        return self.host.users.get(str(user.id)), browser

    def page(self, user: User) -> dict[str, Any]:
        """Return the administrator's page of an account."""
        return self.browser.page(f"/admin/user?id={user.id}")

    def do(self, name: str, user: User, **values: str) -> list[str]:
        """Send a form of that page; return the codes of the messages that follow."""
        response = self.browser.post(f"/admin/user/{name}?id={user.id}", id=str(user.id), **values)
        assert response.status_code == 303, response.body
        return self.browser.messages(response.headers["Location"])

    def refused(self, path: str, user: User, **values: str) -> tuple[int, dict[str, Any]]:
        """Send a form that is refused; return the status and the page."""
        json_page = {"Accept": "application/json"}
        response = self.browser.post(f"{path}?id={user.id}", json_page, id=str(user.id), **values)
        return response.status_code, json.loads(response.body)

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        """Collect the statements of a block."""
        found: list[str] = []

        def on_execute(connection: Any, cursor: Any, sql: str, *rest: Any) -> None:
            found.append(sql)

        event.listen(self.host.engine, "before_cursor_execute", on_execute)
        yield found
        event.remove(self.host.engine, "before_cursor_execute", on_execute)


def section(page: dict[str, Any], title: str) -> dict[str, Any]:
    """Return a section of a page."""
    return next(each for each in page["sections"] if each["title"] == title)


def titles(page: dict[str, Any]) -> list[str]:
    """Return the titles of the accounts that the list shows."""
    return [each["title"] for each in section(page, "Accounts")["rows"]]
