"""The stage of the tour: a host with the installed plugins, a mailbox, and steps that are watched."""

from __future__ import annotations

import email
import email.policy
import json
import queue
import re
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from authhost.errors import AuthError, ConfigurationError
from authhost.host import AuthHost
from authhost.pluginhost.implementations import NOTIFICATIONS
from authhost.pluginhost.trace import TracedHook
from authhost.request import Request
from authhost.settings import Settings

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

    def __init__(
        self, folder: str, mailbox: Mailbox, providers: Mapping[str, Any], *, as_json: bool, trace: bool
    ) -> None:
        self.as_json = as_json
        self.failed = 0
        self.token: str | None = None
        self._offset = timedelta()
        settings = Settings(
            database_url=f"sqlite:///{Path(folder) / 'tour.sqlite3'}",
            secret_key=secrets.token_urlsafe(48),
            email_verification="mandatory",
            trace=trace,
            providers=providers,
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
        self.traced: list[TracedHook] = []
        if self.host.registry.trace is not None:
            self.host.registry.trace.write = self.traced.append
        self.host.registry.manager.add_hookcall_monitoring(self._before, lambda *_: None)

    def _now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def _before(self, name: str, impls: Any, arguments: Any) -> None:
        if name in NOTIFICATIONS or name in (
            "account_ready",
            "social_login_begun",
            "flow_refused",
            "deliver_message",
        ):
            who = ", ".join(sorted({impl.plugin_name for impl in impls}))
            self.called.append(f"{name} -> {who or 'nobody'}")

    def step(
        self, title: str, action: Callable[[Request], Any], *hooks: str, refused: str | None = None
    ) -> Any:
        """Run one step; it must call exactly ``hooks``, and end in ``refused`` if that is given."""
        self.called.clear()
        self.traced.clear()
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
            line: dict[str, Any] = {
                "step": title,
                "outcome": outcome,
                "expected": good,
                "hooks": self.called,
                "ms": round(took, 1),
            }
            if self.traced:
                line["trace"] = [asdict(each) for each in self.traced]
            click.echo(json.dumps(line))
        else:
            mark = click.style("ok  " if good else "BAD ", fg="green" if good else "red", bold=True)
            click.echo(f"{mark}{title:<44}{outcome:<22}{took:8.1f} ms")
            for each in self.traced or self.called:
                for text in str(each).splitlines():
                    click.echo(click.style(f"      {text}", dim=True))
        token = getattr(result, "session_token", None) or getattr(
            getattr(result, "login", None), "session_token", None
        )
        self.token = token or self.token
        return result
