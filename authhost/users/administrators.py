"""Who may manage the accounts of others."""

from __future__ import annotations

from collections.abc import Iterable

from authhost.errors import ConfigurationError, InvalidInput
from authhost.records import User
from authhost.request import Request
from authhost.security.inputs import email as parse_email, email_key


def is_administrator(request: Request, user: User) -> bool:
    """Return whether a user may manage the accounts of others: by the setting, or by a plugin.

    Raises `Vetoed` if a plugin fails: its failure means neither yes nor no.
    """
    if not user.is_active:
        return False
    if user.email_verified and user.email and email_key(user.email) in request.services.administrators:
        return True
    return request.services.hooks.is_administrator(request, user)


def administrator_keys(addresses: Iterable[str]) -> frozenset[str]:
    """Return the keys of the addresses of administrators; raises `ConfigurationError`."""
    return frozenset(map(_key, addresses))


def _key(address: str) -> str:
    try:
        return parse_email(address).key
    except InvalidInput as error:
        raise ConfigurationError(f"administrators has {address!r}, which is not an e-mail address") from error
