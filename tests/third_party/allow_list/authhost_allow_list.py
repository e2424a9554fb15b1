"""Allows signups only with an address of a listed domain."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import idna
from authhost_hookspecs import Refused, Request, SocialLogin, StopFlow, hookimpl

NAME = "allowlist"
CODE = "domain_not_allowed"
MESSAGE = "Signup is not open to this e-mail address."


def normalised(domain: str) -> str:
    """A domain in its DNS form: ``Bücher.Example.`` becomes ``xn--bcher-kva.example``.

    Uses the package idna, since the standard library's codec converts
    ``faß.de`` to ``fass.de``, which is another domain. Raises ``ValueError``.
    """
    return idna.encode(domain.strip().removesuffix("."), uts46=True).decode().lower()


@dataclass(frozen=True, eq=False)
class AllowListSettings:
    """``domains`` is a list separated by commas. If it is empty, everybody may sign up."""

    domains: str = ""

    def __post_init__(self) -> None:
        _ = self.allowed  # a wrong domain raises now, so that the host does not start

    @cached_property
    def allowed(self) -> frozenset[str]:
        """The domains in their DNS form."""
        return frozenset(normalised(each) for each in self.domains.split(",") if each.strip())

    def admits(self, email: str | None) -> bool:
        """Whether a user with this address may sign up. A subdomain is another domain."""
        if not self.allowed:
            return True
        try:
            return email is not None and normalised(email.rpartition("@")[2]) in self.allowed
        except ValueError:
            return False


class AllowList:
    """Decides before the host looks up the address, so free and taken addresses get the same error."""

    @hookimpl
    def before_signup(self, request: Request, email: str | None) -> None:
        settings: AllowListSettings = request.plugin_settings(NAME)
        if not settings.admits(email):
            raise Refused(CODE, MESSAGE)

    # Last, so that another plugin can first connect the login to an existing account.
    @hookimpl(trylast=True)
    def pre_social_login(self, request: Request, sociallogin: SocialLogin) -> None:
        if sociallogin.process != "login" or sociallogin.user is not None:
            return
        settings: AllowListSettings = request.plugin_settings(NAME)
        # Without an address, a form asks for one, and `before_signup` checks it.
        named = [each.email for each in sociallogin.email_addresses]
        if named and not any(settings.admits(email) for email in named):
            raise StopFlow(response={"code": CODE, "message": MESSAGE})

    @hookimpl
    def register_settings(self) -> type[AllowListSettings]:
        return AllowListSettings


plugin = AllowList()
