"""Run the steps of the tour, compare each with what is expected, and print it."""

from __future__ import annotations

import json
import os
import secrets
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from authhost.cli.tour.explanations import EXPLANATIONS
from authhost.errors import AuthError, ConfigurationError
from authhost.host import AuthHost
from authhost.pluginhost.hooks import SIGNALS
from authhost.pluginhost.trace import TracedHook
from authhost.request import Request
from authhost.settings import Settings

WIDTH = 80
"""The width of the output: it fits every terminal."""
TITLE_WIDTH = 40
RIGHT_WIDTH = WIDTH - TITLE_WIDTH - 12
SHOWN_HOOKS = SIGNALS | {"account_ready", "social_login_begun", "flow_refused", "deliver_message"}
EXPECTED_HOOKS = SIGNALS | {"flow_refused"}


class TourEnded(Exception):
    """A step was refused that must succeed: the later steps need its result."""


def styled(text: str, **style: Any) -> str:
    """Return ``text`` in a style of `click.style`, or as it is if ``NO_COLOR`` is set."""
    return text if os.environ.get("NO_COLOR") else click.style(text, **style)


class StepRunner:
    """Runs the tour's steps on a host with the installed plugins, like a browser that keeps its session.

    Raises `ConfigurationError` if one of the plugins that the tour shows is not installed.
    """

    def __init__(
        self, folder: str, smtp_port: int, providers: Mapping[str, Any], *, as_json: bool, trace: bool
    ) -> None:
        self.as_json = as_json
        self.done, self.refused = 0, 0
        """How many steps ended as expected: with success, or with the expected refusal."""
        self.failed: list[str] = []
        """The steps that did not end as expected."""
        self.token: str | None = None
        """The session token."""
        settings = Settings(
            database_url=f"sqlite:///{Path(folder) / 'tour.sqlite3'}",
            secret_key=secrets.token_urlsafe(48),
            email_verification="mandatory",
            trace=trace,
            providers=providers,
            plugin_settings={
                "email": {"transport": "smtp", "smtp_host": "127.0.0.1", "smtp_port": smtp_port}
            },
        )
        self.host = AuthHost(settings, clock=lambda: datetime.now(UTC), upgrade_database=True)
        missing = {"audit", "email", "analytics"} - {each.name for each in self.host.registry.loaded()}
        if missing:
            self.host.close()
            names = " ".join(f"authhost-{name}" for name in sorted(missing))
            raise ConfigurationError(f"the tour needs more plugins; run `pip install {names}`")
        self._called: list[tuple[str, str]] = []
        """The hooks of the current step, each with the names of its receivers."""
        self._traced: list[TracedHook] = []
        self._chapter = ""
        self._chapters = 0
        self._explained: set[str] = set()
        if self.host.registry.trace is not None:
            self.host.registry.trace.write = self._traced.append
        self.host.registry.manager.add_hookcall_monitoring(self._record_hook, lambda *_: None)

    def _record_hook(self, name: str, implementations: Any, arguments: Any) -> None:
        if name in SHOWN_HOOKS:
            receivers = ", ".join(sorted({each.plugin_name for each in implementations}))
            self._called.append((name, receivers or "nobody"))

    def run(
        self, title: str, action: Callable[[Request], Any], *hooks: str, refused: str | None = None
    ) -> Any:
        """Run one step and return its result, or None if it is refused.

        The step must call exactly ``hooks``, in this order. ``refused`` is the
        code of the error with which it must end; it calls `flow_refused` then.
        Raises `TourEnded` if the step is refused although it must succeed.
        """
        self._called.clear()
        self._traced.clear()
        result, outcome, started = None, "ok", perf_counter()
        try:
            with self.host.request(
                ip_address="127.0.0.1", user_agent="authhost tour", session_token=self.token
            ) as request:
                result = action(request)
        except AuthError as error:
            outcome = error.code
        milliseconds = (perf_counter() - started) * 1000
        names = tuple(name for name, _ in self._called if name in EXPECTED_HOOKS)
        expected_hooks = hooks or (("flow_refused",) if refused else ())
        expected = outcome == (refused or "ok") and names == expected_hooks
        if not expected:
            self.failed.append(title)
        elif refused:
            self.refused += 1
        else:
            self.done += 1
        self._print(title, outcome, expected, milliseconds)
        if not expected and not self.as_json:
            hooks_text = ", ".join(expected_hooks) or "none"
            self._print_detail(f"expected: {refused or 'done'}; hooks: {hooks_text}")
            self._print_detail(
                f"actual: {'done' if outcome == 'ok' else outcome}; hooks: {', '.join(names) or 'none'}"
            )
        if outcome != "ok" and refused is None:
            raise TourEnded(f"the tour ends here: later steps need the result of '{title}'")
        login = getattr(result, "login", None)
        token = getattr(result, "session_token", None) or getattr(login, "session_token", None)
        self.token = token or self.token
        return result

    def chapter(self, title: str) -> None:
        """Begin a chapter of the tour."""
        self._chapter = title
        self._chapters += 1
        if not self.as_json:
            self.print_heading(f"{self._chapters}. {title}")

    def print_heading(self, text: str) -> None:
        """Print a heading."""
        click.echo("\n" + styled(text, bold=True))

    def _print(self, title: str, outcome: str, expected: bool, milliseconds: float) -> None:
        called = [f"{name} -> {receivers}" for name, receivers in self._called]
        if self.as_json:
            line: dict[str, Any] = {
                "chapter": self._chapter,
                "step": title,
                "outcome": outcome,
                "expected": expected,
                "hooks": called,
                "ms": round(milliseconds, 1),
            }
            if self._traced:
                line["trace"] = [asdict(each) for each in self._traced]
            click.echo(json.dumps(line))
            return
        self._print_step(title, outcome, expected)
        if self._traced:
            for each in self._traced:
                for text in str(each).splitlines():
                    click.echo(styled(f"      {text}", dim=True))
            return
        for name, _ in self._called:
            if name in EXPLANATIONS and name not in self._explained:
                self._explained.add(name)
                click.echo(f"           {styled(name, fg='cyan')}: {EXPLANATIONS[name]}")

    def _print_detail(self, text: str) -> None:
        """Print a text below the step, on as many lines as it needs."""
        indent = " " * 11
        click.echo(textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent))

    def _print_step(self, title: str, outcome: str, expected: bool) -> None:
        """Print one line: the result in a word, the step, and the hooks or the reason."""
        word, color = ("refused", "yellow") if outcome != "ok" else ("done", "green")
        if not expected:
            word, color = "FAILED", "red"
        names = [name for name, _ in self._called if name in EXPECTED_HOOKS and name != "flow_refused"]
        right = outcome if outcome != "ok" else ", ".join(names)
        if len(right) > RIGHT_WIDTH:
            right = f"{names[0]} +{len(names) - 1}"
        line = f"  {styled(f'{word:<8}', fg=color)} {title:<{TITLE_WIDTH}} {right}"
        click.echo(line.rstrip())
