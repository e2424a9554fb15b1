"""Findings of ``authhost check`` about the file and the range server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from authhost_hookspecs import Finding, Host

from authhost_breached_passwords.errors import LookupFailed
from authhost_breached_passwords.hash_file import check_file
from authhost_breached_passwords.range_server import count_at_server
from authhost_breached_passwords.settings import NAME, BreachedPasswordsSettings
from authhost_breached_passwords.sources import sha1_of

OLD = timedelta(days=365)
KNOWN = "password"
"""Every list of breached passwords contains it."""


def check_sources(host: Host) -> Iterator[Finding]:
    """Yield a finding for each problem of the file and the range server."""
    settings: BreachedPasswordsSettings = host.plugin_settings(NAME)
    if not settings.file and not settings.range_url:
        yield Finding(
            "warning",
            "neither file nor range_url is set, so no password is checked for breaches",
            f"set one of them under [plugins.{NAME}], or uninstall authhost-breached-passwords",
        )
    if settings.file:
        yield from _file(settings.file, host.now)
    if settings.range_url:
        yield from _server(settings)


def _file(path: str, now: datetime) -> Iterator[Finding]:
    try:
        check_file(path)
        changed = datetime.fromtimestamp(os.path.getmtime(path), UTC)
    except (LookupFailed, OSError) as error:
        yield Finding(
            "error",
            str(error),
            f"set file under [plugins.{NAME}] to a readable file of SHA-1 hashes, sorted by hash "
            "(LC_ALL=C sort), as the Pwned Passwords downloader writes it",
        )
        return
    if now - changed > OLD:
        yield Finding(
            "warning",
            f"the file {path} is {(now - changed).days} days old, so newer breaches are not in it",
            "download the list again; the host uses the new file at once",
        )


def _server(settings: BreachedPasswordsSettings) -> Iterator[Finding]:
    try:
        count = count_at_server(
            settings.range_url,
            sha1_of(KNOWN),
            timeout=settings.timeout,
            max_response=settings.max_response,
        )
    except LookupFailed as error:
        yield Finding(
            "error", str(error), f"correct range_url under [plugins.{NAME}], or allow the connection"
        )
        return
    if not count:
        yield Finding(
            "error",
            f"the range server {settings.range_url} does not know the password {KNOWN!r}, "
            "which is in every list",
            f"correct range_url under [plugins.{NAME}]; the host adds / and the beginning of the hash to it",
        )
