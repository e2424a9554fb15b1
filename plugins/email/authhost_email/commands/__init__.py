"""The commands ``authhost email``."""

from __future__ import annotations

import click

from authhost_email.commands.delivery import cancel, clean, deliver, outbox, retry, worker
from authhost_email.commands.doctor import doctor
from authhost_email.commands.previews import preview, send_test
from authhost_email.commands.suppression import allow, suppress, suppressed


@click.group()
def email() -> None:
    """Deliver messages, manage the outbox, preview messages, and find out why they do not arrive."""


for _command in (
    *(outbox, retry, cancel, deliver, worker, clean),
    *(suppress, allow, suppressed),
    *(preview, send_test, doctor),
):
    email.add_command(_command)

__all__ = ["email"]
