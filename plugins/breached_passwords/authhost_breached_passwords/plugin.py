"""The plugin: refuses a new password whose hash is known from data breaches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from authhost_hookspecs import Finding, Host, Refused, Request, hookimpl

from authhost_breached_passwords.errors import LookupFailed
from authhost_breached_passwords.settings import NAME, BreachedPasswordsSettings
from authhost_breached_passwords.sources import sha1_of, sources

BREACHED = "This password is known from a data breach, so others can guess it. Please choose another one."
UNAVAILABLE = "The password cannot be checked at the moment. Please try again later."

log = logging.getLogger("authhost.breached_passwords")


class BreachedPasswordsPlugin:
    """Looks a password up in a file and at a range server. It has no state."""

    @hookimpl
    def check_password(self, request: Request, password: str) -> None:
        settings: BreachedPasswordsSettings = request.plugin_settings(NAME)
        digest = sha1_of(password)
        failed = False
        for count_of in sources(settings):
            try:
                if count_of(digest) >= settings.minimum_count:
                    raise Refused("breached_password", BREACHED)
            except LookupFailed as error:
                failed = True
                log.warning("a password was not checked for breaches, because %s", error)
        if failed and settings.on_failure == "refuse":
            raise Refused("breach_check_unavailable", UNAVAILABLE)

    @hookimpl
    def register_settings(self) -> type[BreachedPasswordsSettings]:
        return BreachedPasswordsSettings

    @hookimpl
    def register_checks(self) -> list[Callable[[Host], Iterable[Finding]]]:
        from authhost_breached_passwords.checks import check_sources

        return [check_sources]


plugin = BreachedPasswordsPlugin()
