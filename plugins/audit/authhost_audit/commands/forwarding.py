"""``authhost audit forward``."""

from __future__ import annotations

import sys
from datetime import datetime

import click
from authhost_hookspecs import CommandContext

from authhost_audit.commands.options import TIMER, every_option, json_option, settings_of, until_ctrl_c
from authhost_audit.commands.sealing import warn_about_clocks


@click.command()
@every_option
@json_option
@click.pass_obj
@until_ctrl_c
def forward(context: CommandContext, /, every: float | None, as_json: bool) -> None:
    """Seal all unsealed records, and send them to syslog and the webhook.

    Without --every, exits with 1 if a receiver did not accept the records.

    Example: authhost audit forward --every 5
    """
    from authhost_audit import forwarding
    from authhost_audit.checkpoints import seal_and_push

    host = context()
    settings = settings_of(host)
    receivers = forwarding.sinks(settings)
    if not receivers:
        raise click.ClickException("there is no receiver; set syslog or webhook under [plugins.audit]")
    delays = {each.name: forwarding.backoff_delays() for each in receivers}
    checked: datetime | None = None
    while True:
        checked = warn_about_clocks(host, context.console, checked)
        for _ in context.console.progress(seal_and_push(host, settings), "batches"):
            pass
        delay, failed = every or 0.0, False
        for sink in receivers:
            try:
                sent = sum(
                    context.console.progress(
                        forwarding.forward(host, settings, sink), f"{sink.name} requests"
                    )
                )
                delays[sink.name] = forwarding.backoff_delays()
                if as_json:
                    context.console.print_rows([{"receiver": sink.name, "sent": sent}], as_json=True)
                else:
                    context.console.print(f"{sink.name}: {sent} records sent")
            except forwarding.ReceiverError as error:
                failed = True
                delay = max(delay, next(delays[sink.name]))
                waiting = forwarding.lag(host, sink)
                context.console.error(f"{sink.name}: not accepted ({error}); {waiting} records are waiting")
        if every is None:
            sys.exit(1 if failed else 0)
        TIMER.wait(delay)
