"""Run the whole tour, then print what the plugins have stored."""

from __future__ import annotations

import json
import queue
import sys
import tempfile
from contextlib import ExitStack

import click

from authhost.cli.tour.account import account_steps
from authhost.cli.tour.smtp_server import SMTPServer
from authhost.cli.tour.social import social_steps
from authhost.cli.tour.steps import StepRunner
from authhost.testing import CommandContext
from authhost.testing.openid import LocalProvider

INTERRUPTED = 130
"""The exit status after Ctrl-C."""


def run(*, as_json: bool, trace: bool) -> int:
    """Run the tour; return the exit status: 0, 1 if a step did not end as expected, or 130 after Ctrl-C."""
    with tempfile.TemporaryDirectory(prefix="authhost-tour-") as folder:
        mails, resources = SMTPServer(), ExitStack()
        try:
            provider = resources.enter_context(LocalProvider().start())
            steps = StepRunner(folder, mails.port, provider.settings, as_json=as_json, trace=trace)
            try:
                account_steps(steps, mails)
                social_steps(steps, provider)
            except queue.Empty:
                click.echo("a mail of the email plugin did not arrive; the tour ends here", err=True)
                steps.failed += 1
            finally:
                steps.host.close()
            _print_results(steps, mails)
        except KeyboardInterrupt:
            click.echo("the tour was interrupted", err=True)
            return INTERRUPTED
        finally:
            resources.close()
            mails.stop()
        return 1 if steps.failed else 0


def _print_results(steps: StepRunner, mails: SMTPServer) -> None:
    """Print the audit trail and the figures with the plugins' own commands, then the mails."""
    for arguments in (["audit", "tail", "-n", "100"], ["analytics", "report"]):
        if not steps.as_json:
            click.echo(f"\nauthhost {' '.join(arguments)}")
        command = steps.host.registry.commands()[arguments[0]]
        options = [*arguments[1:], *(["--json"] if steps.as_json else [])]
        command.main(options, obj=CommandContext(steps.host), standalone_mode=False)
    if not steps.as_json:
        click.echo("\nmails")
    for message in mails.mails:
        line = {"to": message["To"], "subject": message["Subject"]}
        click.echo(json.dumps({"mail": line}) if steps.as_json else f"  {line['to']:<28}{line['subject']}")
    sys.stdout.flush()
