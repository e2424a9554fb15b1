"""The command line ``authhost analytics``."""

from __future__ import annotations

import click

from authhost_analytics.commands.maintenance import forget, roll_up
from authhost_analytics.commands.metrics import prometheus, textfile
from authhost_analytics.commands.reports import export, html, report


@click.group()
def analytics() -> None:
    """Show, export and maintain statistics about logins, signups and users."""


for _command in (report, html, export, prometheus, textfile, roll_up, forget):
    analytics.add_command(_command)

__all__ = ["analytics"]
