"""Lets only people sign up whose address is of a domain on a list."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import idna
from authhost_hookspecs import Refused, Request, SocialLogin, StopFlow, hookimpl

NAME = "allowlist"
CODE = "domain_not_allowed"
MESSAGE = "Signup is not open to this e-mail address."


def normalised(domain: str) -> str:
    """A domain as DNS knows it: ``Bücher.Example.`` is ``xn--bcher-kva.example``.

    By the package idna, since the standard library's codec takes ``faß.de`` for
    ``fass.de``, which is somebody else's. Raises ``ValueError``.
    """
    return idna.encode(domain.strip().removesuffix("."), uts46=True).decode().lower()


@dataclass(frozen=True, eq=False)
class AllowListSettings:
    """``domains`` are separated by commas; where there is none, everybody may sign up."""

    domains: str = ""

    def __post_init__(self) -> None:
        _ = self.allowed  # so that a wrong domain keeps the host from starting

    @cached_property
    def allowed(self) -> frozenset[str]:
        """The domains in the form in which they are compared."""
        return frozenset(normalised(each) for each in self.domains.split(",") if each.strip())

    def admits(self, email: str | None) -> bool:
        """Whether somebody with this address may sign up. Subdomains are other domains."""
        if not self.allowed:
            return True
        try:
            return email is not None and normalised(email.rpartition("@")[2]) in self.allowed
        except ValueError:
            return False


class AllowList:
    """Decides before anything is looked up: the answer is the same for free and for taken addresses."""

    @hookimpl
    def before_signup(self, request: Request, email: str | None) -> None:
        settings: AllowListSettings = request.plugin_settings(NAME)
        if not settings.admits(email):
            raise Refused(CODE, MESSAGE)

    # Last, so that another plugin may have connected the person to an account that there is.
    @hookimpl(trylast=True)
    def pre_social_login(self, request: Request, sociallogin: SocialLogin) -> None:
        if sociallogin.process != "login" or sociallogin.user is not None:
            return
        settings: AllowListSettings = request.plugin_settings(NAME)
        # Without an address a form asks for one, and `before_signup` judges it.
        named = [each.email for each in sociallogin.email_addresses]
        if named and not any(settings.admits(email) for email in named):
            raise StopFlow(response={"code": CODE, "message": MESSAGE})

    @hookimpl
    def register_settings(self) -> type[AllowListSettings]:
        return AllowListSettings


plugin = AllowList()
