"""Findings of ``authhost check``, and the numbers of users with second factors."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from authhost_hookspecs import CannotOpen, Finding, Host, Metric
from sqlalchemy import func, select

from authhost_mfa.attempts import LIMIT
from authhost_mfa.settings import MfaSettings
from authhost_mfa.tables import account_table, authenticator_table, secret_purpose
from authhost_mfa.values import NAME, TOTP, WEBAUTHN

BLOCKED = select(func.count()).select_from(account_table).where(account_table.c.failures >= LIMIT)
"""Counts the accounts with too many wrong codes."""
SAMPLE = 100
"""How many secrets `authhost check` decrypts, the oldest ones."""


def counted(count: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def check_settings(host: Host) -> Iterator[Finding]:
    """Yield settings with which second factors do not protect."""
    settings: MfaSettings = host.plugin_settings(NAME)
    if settings.policy == "off":
        yield Finding(
            "warning",
            "no login asks for the second factors that users have enrolled (policy is off)",
            "set policy under [plugins.mfa] to when_enrolled or required",
        )
    if settings.policy in ("required", "selected") and host.settings.email_verification != "mandatory":
        yield Finding(
            "warning",
            f"with policy {settings.policy} nobody can enrol at a login before the address is confirmed, "
            f"and no login asks for that (email_verification is {host.settings.email_verification})",
            "set email_verification to mandatory",
        )
    if settings.required_since and settings.policy in ("off", "when_enrolled"):
        yield Finding(
            "hint",
            f"required_since has no effect, because policy is {settings.policy}",
            "set policy under [plugins.mfa] to required or selected, or remove required_since",
        )


def check_base_url(host: Host) -> Iterator[Finding]:
    """Yield a base_url on which browsers refuse passkeys: an IP address, or http but for localhost."""
    parts = urlsplit(host.settings.base_url)
    name = parts.hostname or ""
    if name.replace(".", "").isdigit() or ":" in name or (parts.scheme == "http" and name != "localhost"):
        yield Finding(
            "hint",
            f"browsers allow no passkeys and security keys on base_url {host.settings.base_url}",
            "set base_url to https and a host name; for tests, http://localhost with a port works, too",
        )


def check_accounts(host: Host) -> Iterator[Finding]:
    """Yield accounts that can use no codes any more, and secrets that no key decrypts."""
    with host.reader.connect() as connection:
        count: int = connection.execute(BLOCKED).scalar_one()
    unreadable = _unreadable(host)
    if unreadable:
        yield Finding(
            "error",
            f"{counted(unreadable, 'secret')} of authenticator apps cannot be decrypted: no code is accepted",
            "add the former key to encryption_keys, then run `authhost keys rotate encryption_keys`",
        )
    if count:
        yield Finding(
            "warning",
            f"{counted(count, 'account')} can use no codes any more, after {LIMIT} wrong ones",
            "another method still works; `authhost mfa list --blocked` lists the users",
        )


def _unreadable(host: Host) -> int:
    """Return how many of the oldest `SAMPLE` secrets no key of the host decrypts."""
    table = authenticator_table.c
    oldest = select(table.id, table.secret).where(table.secret.is_not(None)).order_by(table.id).limit(SAMPLE)
    count = 0
    with host.reader.connect() as connection:
        for row in connection.execute(oldest):
            try:
                host.open(row.secret, secret_purpose(row.id))
            except CannotOpen:
                count += 1
    return count


def counts(host: Host) -> dict[str, int]:
    """Return the numbers of users by kind of authenticator, with a second factor, and of blocked ones."""
    table = authenticator_table.c
    users = func.count(table.user_id.distinct()).label("users")
    with host.reader.connect() as connection:
        by_kind = connection.execute(select(table.kind, users).group_by(table.kind))
        kinds: dict[str, int] = {row.kind: row.users for row in by_kind}
        second: int = connection.execute(select(users).where(table.second_factor)).scalar_one()
        refused: int = connection.execute(BLOCKED).scalar_one()
    return {
        TOTP: kinds.get(TOTP, 0),
        WEBAUTHN: kinds.get(WEBAUTHN, 0),
        "second_factor": second,
        "blocked": refused,
    }


def metrics(host: Host) -> Iterator[Metric]:
    """Yield these numbers for a monitoring system."""
    found = counts(host)
    name, text = "authhost_mfa_users", "Users with an authenticator."
    for kind in (TOTP, WEBAUTHN):
        yield Metric(name, found[kind], "gauge", text, {"kind": kind})
    second, blocked = found["second_factor"], found["blocked"]
    yield Metric("authhost_mfa_protected_users", second, "gauge", "Users whose logins need a second factor.")
    yield Metric("authhost_mfa_blocked_users", blocked, "gauge", "Users with too many wrong codes.")
