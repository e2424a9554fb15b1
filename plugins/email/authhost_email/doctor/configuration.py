"""Checks the settings."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from authhost_hookspecs import Host

from authhost_email.checks import LOOPBACK, check_settings
from authhost_email.doctor.results import Result
from authhost_email.rendering import sender
from authhost_email.settings import EmailSettings
from authhost_email.transports import describe_transport


def examine_settings(host: Host, settings: EmailSettings) -> Iterator[Result]:
    """Yield the problems of the settings, or one result that shows transport and sender."""
    problems = [
        Result("error" if each.level == "error" else "warning", "settings", each.problem, each.do)
        for each in check_settings(host)
    ]
    if (urlsplit(host.settings.base_url).hostname or "") in LOOPBACK:
        problems.append(
            Result(
                "warning",
                "settings",
                f"links in messages lead to {host.settings.base_url}, which works on this machine only",
                "set base_url to the URL of the site",
            )
        )
    if problems:
        yield from problems
    else:
        yield Result("ok", "settings", f"{describe_transport(settings)}, from {sender(settings)}")
