"""The pages of the demo, as a plugin: what the site has sent and recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

from authhost_hookspecs import ApiRoute, Link, Page, PageRoute, Request, Row, Section, hookimpl

from authhost.host import AuthHost
from authhost.operations.console import Terminal

START, MAILS, AUDIT = "/start", "/mails", "/audit"
MAX_RECORDS = 100
LINK = re.compile(r"https?://\S+")
NOTE = "This is a demo: everything in it disappears when it ends."


class DemoPages:
    """``mails`` returns the mails that were sent, oldest first. ``folder`` is for temporary files."""

    def __init__(self, mails: Callable[[], list[EmailMessage]], folder: Path, report: str) -> None:
        self._mails, self._folder, self._report = mails, folder, report
        self.host: AuthHost | None = None
        """The host of the demo, which has this plugin."""

    @hookimpl
    def register_routes(self) -> list[PageRoute | ApiRoute]:
        return [
            PageRoute(START, self.start, login=False),
            PageRoute(MAILS, self.mails, login=False),
            PageRoute(AUDIT, self.audit, login=False),
        ]

    def start(self, request: Request) -> Page:
        """What this is, and where to begin."""
        return Page(
            "demo_start",
            "A site with authhost",
            (
                "Sign up with any address: no mail leaves this machine. Read it at “Mails that were sent”, "
                "open its link, and log in; or continue with the local provider as any name.",
                "Then look at what the plugins have recorded.",
                NOTE,
            ),
            links=(
                Link("Create an account", self._url(request, "/signup")),
                Link("Log in", self._url(request, "/login")),
                Link("Your account", self._url(request, "/")),
                Link("Mails that were sent", MAILS),
                Link("Audit trail", AUDIT),
                Link("Analytics", self._report),
                Link("The JSON API (OpenAPI)", self._url(request, "/api/openapi.json")),
            ),
        )

    def mails(self, request: Request) -> Page:
        """The mails, newest first, with their links."""
        sections = []
        for message in reversed(self._mails()):
            body = message.get_body(("plain",))
            text = str(body.get_content()) if body is not None else ""
            sections.append(
                Section(
                    str(message["Subject"]),
                    (f"To {message['To']}", *(each for each in text.split("\n\n") if each.strip())),
                    links=tuple(Link("Open the link of this mail", each) for each in LINK.findall(text)[:1]),
                )
            )
        text = "The newest mail is at the top." if sections else "No mail has been sent yet."
        links = (Link("Back to the start", START),)
        return Page("demo_mails", "Mails that were sent", (text, NOTE), sections=tuple(sections), links=links)

    def audit(self, request: Request) -> Page:
        """The newest records of the audit trail."""
        links = (Link("Back to the start", START),)
        commands = self.host.registry.commands() if self.host is not None else {}
        if "audit" not in commands or self.host is None:
            text = "The plugin audit is not installed: `pip install authhost-audit`."
            return Page("demo_audit", "Audit trail", (text,), links=links)
        file = self._folder / "audit.jsonl"
        context = SilentContext(self.host)
        commands["audit"].main(["export", "-o", str(file)], obj=context, standalone_mode=False)
        records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        rows = [_row(each) for each in reversed(records[-MAX_RECORDS:])]
        text = f"{len(records)} records, the newest first."
        return Page(
            "demo_audit",
            "Audit trail",
            (text,),
            sections=(Section("Records", rows=tuple(rows)),),
            links=links,
        )

    def _url(self, request: Request, path: str) -> str:
        return request.build_url("login").removesuffix("/login") + path


class SilentContext:
    """The object of a command, without output."""

    def __init__(self, host: AuthHost) -> None:
        self._host = host
        self.console = _Quiet()

    def __call__(self, *, background: bool = False) -> AuthHost:
        return self._host


class _Quiet(Terminal):
    def error(self, message: str) -> None:
        """Print nothing: the page shows the result."""


def _row(record: dict[str, object]) -> Row:
    details = [
        f"{name}: {record[name]}" for name in ("flow", "reason", "ip_address", "user_id") if record.get(name)
    ]
    return Row(str(record["event"]), (str(record["time"])[:19], *details))
