"""One of several processes of a site that people use while its keys are changed.

Run as a script: ``python key_load.py CONFIG NAME``. It reads the settings, goes through rounds of
flows until a line arrives on standard input, prints how many rounds it has completed since, and ends
with the line ``stop``. Any other line restarts the site with the current settings.
"""

from __future__ import annotations

import select
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from authhost_audit.sealing import seal
from authhost_email.outbox import Outbox
from authhost_hookspecs import hookimpl
from authhost_mfa.tables import authenticator_table
from sqlalchemy import update

from authhost import AuthHost, Settings
from authhost.testing import PASSWORD, TotpApp
from authhost.testing.web_client import WebClient
from authhost.web import Web


class Keys:
    """Sees the keys of the messages, and leaves them to the e-mail plugin."""

    key = ""

    @hookimpl(tryfirst=True)
    def deliver_message(self, message: Any) -> None:
        self.key = message.key or self.key


class Process:
    """The site, and two people: one has an authenticator app, one forgets the password again and again."""

    def __init__(self, config: Path, name: str) -> None:
        self.config, self.keys = config, Keys()
        self.phone_owner, self.forgetful = f"{name}@example.org", f"forgets-{name}@example.org"
        self.start()
        self.visitor, self.session = self.browser(), self.browser()
        for browser, email in ((self.visitor, self.forgetful), (self.session, self.phone_owner)):
            self.call(browser, "/signup", {"email": email, "password": PASSWORD})
            self.call(browser, "/confirm-email", {"key": self.keys.key})
        setup = self.call(self.session, "/mfa/totp", method="GET")
        self.app = TotpApp(setup["uri"], lambda: datetime.now(UTC))  # type: ignore[arg-type]
        code = {"setup": setup["setup"], "code": self.app.code()}
        self.call(self.session, "/mfa/totp", code)
        self.prepare()

    def start(self) -> None:
        """Open the site with the current settings."""
        self.host = AuthHost(Settings.load(self.config), plugins={"keys": self.keys})
        self.web = Web(self.host)
        for browser in vars(self).values():
            if isinstance(browser, WebClient):
                browser.web = self.web

    def browser(self) -> WebClient:
        return WebClient(self.web)

    def call(self, browser: WebClient, path: str, values: Any = None, *, method: str = "POST") -> Any:
        status, body = browser.api(path, values, method=method)
        assert status in (200, 201, 202), (path, status, body)
        return body

    def prepare(self) -> None:
        """Begin what the next round completes, perhaps with other settings."""
        self.half = self.browser()
        self.call(self.half, "/login", {"identifier": self.phone_owner, "password": PASSWORD})
        with self.host.request() as request:
            self.host.account.request_password_reset(request, email=self.forgetful)
        self.reset_key = self.keys.key

    def round(self) -> None:
        self.call(self.session, "/session", method="GET")  # logged in since the start
        with self.host.engine.begin() as connection:  # a code is accepted once; this test has no time to wait
            of_user = authenticator_table.c.totp_of.is_not(None)
            connection.execute(update(authenticator_table).where(of_user).values(last_step=0))
        body = self.call(self.half, "/mfa/verify", {"code": self.app.code()})
        assert body["authenticated"], body
        self.call(self.half, "/session", method="GET")
        with self.host.request() as request:
            self.host.account.reset_password(request, key=self.reset_key, password=PASSWORD)
        self.call(self.browser(), "/login", {"identifier": self.forgetful, "password": PASSWORD})
        self.prepare()
        Outbox(self.host, self.host.plugin_settings("email")).deliver_pending()
        list(seal(self.host, self.host.plugin_settings("audit")))


def main(config: str, name: str) -> None:
    process = Process(Path(config), name)
    rounds = 0
    print("started", flush=True)
    while True:
        process.round()
        rounds += 1
        if not select.select([sys.stdin], [], [], 0)[0]:
            continue
        line = sys.stdin.readline().strip()
        if line != "stop":
            process.host.close()
            process.start()
            process.round()
        print(rounds, flush=True)
        if line == "stop":
            process.host.close()
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
