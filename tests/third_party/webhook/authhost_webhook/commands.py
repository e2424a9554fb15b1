"""``authhost webhook``."""

from __future__ import annotations

import threading
from collections.abc import Callable

import click
from authhost_hookspecs import Host

from authhost_webhook.delivery import deliver_due, waiting
from authhost_webhook.settings import WebhookSettings

NEVER = threading.Event()
"""An event that is never set. A wait for it sleeps, and Ctrl-C interrupts it."""


@click.group()
def webhook() -> None:
    """Deliver signals to a webhook."""


@webhook.command()
@click.option("--once", is_flag=True, help="Deliver the events that are due, then end.")
@click.pass_obj
def deliver(get_host: Callable[[], Host], /, once: bool) -> None:
    """Deliver signals from the outbox, until Ctrl-C.

    Example: authhost webhook deliver --once
    """
    host = get_host()
    settings: WebhookSettings = host.plugin_settings("webhook")
    if not settings.url:
        raise click.ClickException("the setting url is empty; set url under [plugins.webhook]")
    while True:
        taken = deliver_due(host, settings)
        if once:
            click.echo(f"{taken} delivered, {waiting(host)} waiting")
            return
        NEVER.wait(1)
