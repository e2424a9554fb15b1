"""``authhost tour``: an account's whole life, with a real SMTP server, a provider and the plugins."""

from __future__ import annotations

import json
import queue
import sys
import tempfile
from contextlib import ExitStack

import click

from authhost.cli.stage import Mailbox, Tour
from authhost.cli.tour_social import social_chapter
from authhost.testing.openid import LocalProvider
from authhost.testing.stage import OTHER_PASSWORD, PASSWORD

THIRD_PASSWORD = "the lighthouse keeper naps"


def account_chapter(tour: Tour, mailbox: Mailbox) -> None:
    """All steps, in order."""
    account, step = tour.host.account, tour.step
    ann, second = "ann@example.org", "ann@work.example.org"
    step(
        "sign up",
        lambda r: account.signup(r, email=ann, password=PASSWORD, username="ann"),
        "user_signed_up",
        "email_confirmation_sent",
    )
    key = mailbox.key(ann, "confirm-email")
    step("confirm by the link of the mail", lambda r: account.confirm_email(r, key=key), "email_confirmed")
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
        lambda r: account.change_password(r, current_password=PASSWORD, new_password=OTHER_PASSWORD),
        "password_changed",
    )
    step("log out", account.logout, "user_logged_out")
    tour.token = None
    for attempt in range(1, 6):
        step(
            f"a wrong password ({attempt})",
            lambda r: account.login(r, identifier=ann, password="not my password"),
            refused="invalid_credentials",
        )
    step(
        "the right one, too late",
        lambda r: account.login(r, identifier=ann, password=OTHER_PASSWORD),
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


def run(*, as_json: bool, trace: bool) -> int:
    """Run the tour; return the exit status."""
    with tempfile.TemporaryDirectory(prefix="authhost-tour-") as folder:
        mailbox, resources = Mailbox(), ExitStack()
        try:
            provider = resources.enter_context(LocalProvider().start())
            tour = Tour(folder, mailbox, provider.settings, as_json=as_json, trace=trace)
            try:
                account_chapter(tour, mailbox)
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
