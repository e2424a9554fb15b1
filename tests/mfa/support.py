"""A site with the plugin, and people with browsers and authenticator apps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event, func, select

from authhost.testing import PASSWORD, TotpApp
from authhost.testing.web_client import WebClient
from authhost.web import Web

ANN = "ann@example.org"
VERIFY, ENROL, TOTP = "/mfa/verify", "/mfa/enrol", "/mfa/totp"
KEYS, PASSKEY, REAUTHENTICATE = "/mfa/keys", "/mfa/passkey", "/mfa/reauthenticate"
ORIGIN = "https://example.org"
SESSION = "__Host-authhost-session"
TRUST_COOKIE = "__Host-mfa-trust"


class Site:
    """A site: its web layer, the browser of ann, her authenticator app and her recovery codes."""

    def __init__(self, host: Any, recorder: Any) -> None:
        self.host, self.recorder = host, recorder
        self.web = Web(host)
        self.ann = self.browser()
        self.app: TotpApp
        self.codes: list[str] = []

    def browser(self) -> WebClient:
        return WebClient(self.web)

    def sign_up(self, email: str = ANN, *, browser: WebClient | None = None, verify: bool = True) -> None:
        """Sign somebody up who confirms the address."""
        client = browser or self.ann
        status, body = client.api("/signup", {"email": email, "password": PASSWORD})
        assert status in (200, 201, 202), body
        if verify:
            assert client.api("/confirm-email", {"key": self.recorder.key()})[0] == 200

    def log_in(self, browser: WebClient, email: str = ANN, password: str = PASSWORD) -> tuple[int, Any]:
        return browser.api("/login", {"identifier": email, "password": password})

    def enrol(self, browser: WebClient | None = None) -> list[str]:
        """Add an authenticator app for the logged-in user; return the recovery codes."""
        client = browser or self.ann
        status, setup = client.api(TOTP, method="GET")
        assert status == 200, setup
        self.app = TotpApp(setup["uri"], self.host.clock)
        status, body = client.api(TOTP, {"setup": setup["setup"], "code": self.app.code()})
        assert status == 200, body
        self.codes = body["recovery_codes"]
        return self.codes

    def create_key(self, authenticator: Any, browser: WebClient | None = None, path: str = KEYS) -> str:
        """Return the response of an authenticator to a registration."""
        status, body = (browser or self.ann).api(path, method="GET")
        assert status in (200, 202), body
        created: str = authenticator.create(body["options"], ORIGIN)
        return created

    def add_key(self, authenticator: Any, browser: WebClient | None = None, **values: Any) -> list[str]:
        """Add a passkey or security key for the logged-in user; return the recovery codes."""
        client = browser or self.ann
        status, body = client.api(KEYS, {"credential": self.create_key(authenticator, client), **values})
        assert status == 200, body
        codes: list[str] = body["recovery_codes"]
        return codes

    def get_key(self, browser: WebClient, authenticator: Any, path: str = VERIFY) -> str:
        """Return the response of an authenticator to the options of an endpoint."""
        status, body = browser.api(path, method="GET")
        assert status in (200, 202), body
        found: str = authenticator.get(body["options"], ORIGIN)
        return found

    def use_key(
        self, browser: WebClient, authenticator: Any, path: str = VERIFY, **values: Any
    ) -> tuple[int, Any]:
        """Use a passkey or security key."""
        return browser.api(path, {"credential": self.get_key(browser, authenticator, path), **values})

    def half(self, **headers: str) -> WebClient:
        """Return a browser in which ann has given her password, and nothing else."""
        client = self.browser()
        client.headers.update(headers)
        status, body = self.log_in(client)
        assert (status, body["next"][0]["step"]) == (202, "mfa.second_factor"), body
        return client

    def verify(self, browser: WebClient, code: str | None = None, **values: Any) -> tuple[int, Any]:
        if code is None and "recovery_code" not in values:
            code = self.app.next_code()
        return browser.api(VERIFY, {**({"code": code} if code else {}), **values})

    def count(self, table: Any) -> int:
        with self.host.reader.connect() as connection:
            found: int = connection.execute(select(func.count()).select_from(table)).scalar_one()
        return found

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        """The SQL of the block."""
        seen: list[str] = []

        def on_execute(connection: Any, cursor: Any, sql: str, *rest: Any) -> None:
            seen.append(sql)

        event.listen(self.host.engine, "before_cursor_execute", on_execute)
        try:
            yield seen
        finally:
            event.remove(self.host.engine, "before_cursor_execute", on_execute)


def is_logged_in(browser: WebClient) -> bool:
    return browser.api("/session", method="GET")[0] == 200


def refused(answer: tuple[int, Any]) -> tuple[int, str | None]:
    """Return the status of an answer, and the code of its refusal."""
    status, body = answer
    return status, body.get("plugin_code") or body.get("code")
