"""``authhost tour``: an account's whole life, with a real SMTP server, a provider and the plugins."""

from __future__ import annotations

import email
import email.policy
import json
import queue
import re
import secrets
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from authhost.cli.tour_social import NAME, Provider, local_provider, social_chapter
from authhost.discovery import NOTIFICATIONS
from authhost.errors import AuthError, ConfigurationError
from authhost.host import AuthHost
from authhost.request import Request
from authhost.settings import Settings

PASSWORD = "green teapots sing at dawn"
SECOND_PASSWORD = "seven quiet harbours in may"
THIRD_PASSWORD = "the lighthouse keeper naps"
MAIL_TIMEOUT = 20


class Mailbox:
    """A real SMTP server on loopback that keeps what arrives."""

    def __init__(self) -> None:
        try:
            from aiosmtpd.controller import Controller
        except ImportError as error:
            raise ConfigurationError("the tour needs aiosmtpd; run `pip install 'authhost[tour]'`") from error
        self.arrived: queue.Queue[Any] = queue.Queue()
        self.all: list[Any] = []
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:
        """Called by aiosmtpd for each message."""
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.all.append(message)
        self.arrived.put(message)
        return "250 OK"

    def key(self, to: str, page: str) -> str:
        """Wait for the mail to ``to`` that links to ``page``; return the key of its link."""
        while True:
            message = self.arrived.get(timeout=MAIL_TIMEOUT)
            body = message.get_body(("plain",)).get_content()
            found = re.search(rf"/{page}/([\w-]+)", body)
            if found and message["To"] == to:
                return found[1]

    def stop(self) -> None:
        """Close the server."""
        self._controller.stop()


class Tour:
    """Runs the steps and tells what happened in each."""

    def __init__(self, folder: str, mailbox: Mailbox, provider: Provider, as_json: bool) -> None:
        self.as_json = as_json
        self.failed = 0
        self.token: str | None = None
        self._offset = timedelta()
        settings = Settings(
            database_url=f"sqlite:///{Path(folder) / 'tour.sqlite3'}",
            secret_key=secrets.token_urlsafe(48),
            email_verification="mandatory",
            providers={NAME: provider.settings},
            plugin_settings={
                "email": {
                    "transport": "smtp",
                    "smtp_host": "127.0.0.1",
                    "smtp_port": mailbox.port,
                }
            },
        )
        self.host = AuthHost(settings, clock=self._now, upgrade_database=True)
        missing = {"audit", "email", "analytics"} - {each.name for each in self.host.registry.loaded()}
        if missing:
            self.host.close()
            raise ConfigurationError(
                "the tour shows three plugins; install " + ", ".join(f"authhost-{n}" for n in sorted(missing))
            )
        self.called: list[str] = []
        self.host.registry.manager.add_hookcall_monitoring(self._before, lambda *_: None)

    def _now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def _before(self, name: str, impls: Any, arguments: Any) -> None:
        if name in NOTIFICATIONS or name in ("account_ready", "flow_refused", "deliver_message"):
            who = ", ".join(sorted({impl.plugin_name for impl in impls}))
            self.called.append(f"{name} -> {who or 'nobody'}")

    def step(
        self, title: str, action: Callable[[Request], Any], *hooks: str, refused: str | None = None
    ) -> Any:
        """Run one step; it must call exactly ``hooks``, and end in ``refused`` if that is given."""
        self.called.clear()
        result, outcome, started = None, "ok", perf_counter()
        try:
            with self.host.request(
                ip_address="127.0.0.1", user_agent="authhost tour", session_token=self.token
            ) as request:
                result = action(request)
        except AuthError as error:
            outcome = error.code
        took = (perf_counter() - started) * 1000
        names = tuple(
            each.split()[0] for each in self.called if each.split()[0] in NOTIFICATIONS | {"flow_refused"}
        )
        good = outcome == (refused or "ok") and names == (hooks or (("flow_refused",) if refused else ()))
        self.failed += not good
        if self.as_json:
            line = {
                "step": title,
                "outcome": outcome,
                "expected": good,
                "hooks": self.called,
                "ms": round(took, 1),
            }
            click.echo(json.dumps(line))
        else:
            mark = click.style("ok  " if good else "BAD ", fg="green" if good else "red", bold=True)
            click.echo(f"{mark}{title:<44}{outcome:<22}{took:8.1f} ms")
            for each in self.called:
                click.echo(click.style(f"      {each}", dim=True))
        token = getattr(result, "session_token", None) or getattr(
            getattr(result, "login", None), "session_token", None
        )
        self.token = token or self.token
        return result

    def run(self, mailbox: Mailbox) -> None:
        """All steps, in order."""
        account, step = self.host.account, self.step
        ann, second = "ann@example.org", "ann@work.example.org"
        step(
            "sign up",
            lambda r: account.signup(r, email=ann, password=PASSWORD, username="ann"),
            "user_signed_up",
            "email_confirmation_sent",
        )
        key = mailbox.key(ann, "confirm-email")
        step(
            "confirm by the link of the mail", lambda r: account.confirm_email(r, key=key), "email_confirmed"
        )
        step("use the link again", lambda r: account.confirm_email(r, key=key), refused="invalid_key")
        step("log in", lambda r: account.login(r, identifier=ann, password=PASSWORD), "user_logged_in")
        step(
            "add a second address",
            lambda r: account.add_email(r, email=second),
            "email_confirmation_sent",
            "email_added",
        )
        key2 = mailbox.key(second, "confirm-email")
        step("confirm it", lambda r: account.confirm_email(r, key=key2), "email_confirmed")
        step("make it primary", lambda r: account.make_primary(r, email=second), "email_changed")
        step(
            "change the password",
            lambda r: account.change_password(r, current_password=PASSWORD, new_password=SECOND_PASSWORD),
            "password_changed",
        )
        step("log out", account.logout, "user_logged_out")
        self.token = None
        for attempt in range(1, 6):
            step(
                f"a wrong password ({attempt})",
                lambda r: account.login(r, identifier=ann, password="not my password"),
                refused="invalid_credentials",
            )
        step(
            "the right one, too late",
            lambda r: account.login(r, identifier=ann, password=SECOND_PASSWORD),
            refused="rate_limited",
        )
        step("ask for a reset", lambda r: account.request_password_reset(r, email=second))
        key3 = mailbox.key(second, "reset-password")
        step(
            "reset the password by the link",
            lambda r: account.reset_password(r, key=key3, password=THIRD_PASSWORD),
            "password_reset",
        )
        step(
            "log in with the new one",
            lambda r: account.login(r, identifier=second, password=THIRD_PASSWORD),
            "user_logged_in",
        )


def run(*, as_json: bool) -> int:
    """Run the tour; return the exit status."""
    with tempfile.TemporaryDirectory(prefix="authhost-tour-") as folder:
        mailbox, resources = Mailbox(), ExitStack()
        try:
            provider = resources.enter_context(local_provider())
            tour = Tour(folder, mailbox, provider, as_json)
            try:
                tour.run(mailbox)
                social_chapter(tour, provider)
            except queue.Empty:
                click.echo("a mail did not arrive", err=True)
                tour.failed += 1
            finally:
                tour.host.close()
            _show(tour, mailbox, as_json)
        except KeyboardInterrupt:
            click.echo("stopped", err=True)
            return 130
        finally:
            resources.close()
            mailbox.stop()
        return 1 if tour.failed else 0


def _show(tour: Tour, mailbox: Mailbox, as_json: bool) -> None:
    """The audit trail, the mailbox and the figures, by the plugins' own commands."""
    for arguments in (["audit", "tail", "-n", "100"], ["analytics", "report"]):
        if not as_json:
            click.echo(f"\nauthhost {' '.join(arguments)}")
        command = tour.host.registry.commands()[arguments[0]]
        options = [*arguments[1:], *(["--json"] if as_json else [])]
        command.main(options, obj=lambda: tour.host, standalone_mode=False)
    if not as_json:
        click.echo("\nthe mailbox")
    for message in mailbox.all:
        line = {"to": message["To"], "subject": message["Subject"]}
        click.echo(json.dumps({"mail": line}) if as_json else f"  {line['to']:<28}{line['subject']}")
    sys.stdout.flush()
