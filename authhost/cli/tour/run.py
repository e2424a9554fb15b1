"""Run the whole tour, then show a mail, the audit trail, the figures, and a summary."""

from __future__ import annotations

import io
import json
import queue
import re
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stdout
from typing import Any

import click

from authhost.cli.tour.account import account_steps
from authhost.cli.tour.smtp_server import SMTPServer
from authhost.cli.tour.social import social_steps
from authhost.cli.tour.steps import WIDTH, StepRunner, TourEnded, styled
from authhost.testing import CommandContext
from authhost.testing.openid import LocalProvider

INTERRUPTED = 130
"""The exit status after Ctrl-C."""
INTRODUCTION = (
    "Ann and Bob use a site with three plugins: audit, email and analytics. Each line is one "
    "step: done, or refused where the site must refuse it. Each step calls hooks of plugins; a hook is "
    'explained when it is called for the first time. "+1" stands for one more hook.'
)
LINK_KEY = re.compile(r"(/confirm-email/[\w-]{4})[\w-]+")
"""The key of a link, which is long: its beginning is enough to look at."""
SHOWN_RECORDS = 8
"""How many rows of the audit trail are shown, from the first wrong password on."""
NEXT_STEPS = (
    ("authhost serve --demo", "the same site in your browser"),
    ("authhost tour --trace", "each call of a hook, with its plugin and time"),
    ("authhost plugins new NAME", "a plugin of your own, with passing tests"),
    ("docs/README.md", "for developers, plugin authors and operators"),
)


def run(*, as_json: bool, trace: bool) -> int:
    """Run the tour; return the exit status: 0, 1 if a step did not end as expected, or 130 after Ctrl-C."""
    with tempfile.TemporaryDirectory(prefix="authhost-tour-") as folder:
        mails, resources = SMTPServer(), ExitStack()
        try:
            provider = resources.enter_context(LocalProvider().start())
            steps = StepRunner(folder, mails.port, provider.settings, as_json=as_json, trace=trace)
            if not as_json:
                click.echo(textwrap.fill(INTRODUCTION, WIDTH))
            try:
                account_steps(steps, mails)
                social_steps(steps, provider)
            except queue.Empty:
                click.echo("a mail of the email plugin did not arrive; the tour ends here", err=True)
                steps.failed.append("wait for a mail")
            except TourEnded as ended:
                click.echo(str(ended), err=True)
            finally:
                steps.host.close()
            (_print_json if as_json else _print_results)(steps, mails)
        except KeyboardInterrupt:
            click.echo("the tour was interrupted", err=True)
            return INTERRUPTED
        finally:
            resources.close()
            mails.stop()
        return 1 if steps.failed else 0


def _print_json(steps: StepRunner, mails: SMTPServer) -> None:
    """Print the audit trail and the figures with the plugins' own commands, then the mails."""
    for line in (*_output(steps, "audit", "tail", "-n", "100"), *_output(steps, "analytics", "report")):
        click.echo(line)
    for message in mails.mails:
        click.echo(json.dumps({"mail": {"to": message["To"], "subject": message["Subject"]}}))
    sys.stdout.flush()


def _print_results(steps: StepRunner, mails: SMTPServer) -> None:
    steps.print_heading("What the plugins have done")
    _print_mail(mails)
    records = [json.loads(line) for line in _output(steps, "audit", "tail", "-n", "100")]
    click.echo(f"\naudit has {len(records)} records (`authhost audit tail`), among them:")
    guesses = [number for number, record in enumerate(records) if record["reason"] == "invalid_credentials"]
    first = guesses[0] if guesses else 0
    for record in records[first : first + SHOWN_RECORDS]:
        click.echo(f"  {record['event']:<26}{record['flow'] or '':<8}{record['reason'] or ''}".rstrip())
    report = json.loads("".join(_output(steps, "analytics", "report")))
    click.echo("\nanalytics counts, and keeps no names (`authhost analytics report`):")
    for name, count in sorted(_totals(report), key=lambda each: -each[1])[:4]:
        click.echo(f"  {count:>4}  {name}")
    _print_summary(steps)
    sys.stdout.flush()


def _print_mail(mails: SMTPServer) -> None:
    """Print the first mail as it arrived, and how many there are."""
    first = mails.mails[0] if mails.mails else None
    if first is None:
        return
    click.echo(f"email has sent {len(mails.mails)} mails. This is the first one, with a shortened link:")
    body = LINK_KEY.sub(r"\1…", first.get_body(("plain",)).get_content())
    lines = [f"To: {first['To']}", f"Subject: {first['Subject']}", "", *body.strip().splitlines()]
    for line in lines:
        for part in textwrap.wrap(line, WIDTH - 4, break_on_hyphens=False) or [""]:
            click.echo(f"  | {part}".rstrip())


def _print_summary(steps: StepRunner) -> None:
    steps.print_heading("Summary")
    number = steps.done + steps.refused + len(steps.failed)
    count = "1 step" if number == 1 else f"{number} steps"
    if steps.failed:
        names = ", ".join(steps.failed)
        click.echo(styled(f"{count}, {len(steps.failed)} NOT as expected: {names}", fg="red"))
    else:
        click.echo(f"{count}, all as expected: {steps.done} done, {steps.refused} refused on purpose.")
    click.echo("Nothing is left of this site. Next:")
    for command, what in NEXT_STEPS:
        click.echo(f"  {command:<28}{what}")


def _output(steps: StepRunner, *arguments: str) -> list[str]:
    """Return what a command of a plugin prints as JSON lines."""
    command = steps.host.registry.commands()[arguments[0]]
    written = io.StringIO()
    with redirect_stdout(written):
        command.main([*arguments[1:], "--json"], obj=CommandContext(steps.host), standalone_mode=False)
    return written.getvalue().splitlines()


def _totals(report: dict[str, Any]) -> Iterator[tuple[str, int]]:
    for each in report["events"]:
        yield str(each["event"]), int(each["total"])
