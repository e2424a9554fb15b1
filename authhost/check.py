"""A look at the settings as a whole: unsafe or impossible combinations, with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.exc import SQLAlchemyError

from authhost.settings import unknown_variables
from authhost.store.tables import users

if TYPE_CHECKING:
    from authhost.host import AuthHost
    from authhost.settings import Settings

LOOPBACK = ("localhost", "127.0.0.1", "::1")
ARGON2_FLOOR = ((47104, 1), (19456, 2), (12288, 3))
"""Memory in KiB and passes (OWASP Password Storage Cheat Sheet; ASVS 5.0, Appendix C)."""


class Problem(NamedTuple):
    """One finding. An error makes ``authhost check`` fail."""

    level: Literal["error", "warning"]
    problem: str
    do: str


def problems(host: AuthHost) -> list[Problem]:
    """All findings about a host that starts."""
    settings = host.settings
    return [
        *_environment(),
        *_settings(settings),
        *_hash(settings),
        *_passwords(host),
        *_plugins(host),
        *_providers(host),
        *_limits(host),
    ]


def _environment() -> Iterator[Problem]:
    for name, meant in unknown_variables().items():
        do = f"did you mean {meant}?" if meant else "take it away"
        yield Problem("warning", f"the environment has {name}, which sets nothing", do)


def _settings(settings: Settings) -> Iterator[Problem]:
    site = urlsplit(settings.base_url)
    if site.scheme != "https" and site.hostname not in LOOPBACK:
        yield Problem("error", f"links in mails start with {settings.base_url}", "set base_url to https://…")
    if any(len(set(key)) < 12 for key in settings.secret_keys):
        yield Problem("error", "secret_key is no random text", "set a random one; 48 characters are good")
    if isinstance(settings.secret_key, str) and "," in settings.secret_key:
        yield Problem(
            "warning",
            "secret_key has a comma and is used as one key, since not each part of it has 32 characters",
            "take the comma out, or give a list of keys of at least 32 characters each",
        )
    if settings.session_idle > settings.session_lifetime:
        yield Problem(
            "warning",
            "session_idle is longer than session_lifetime, so it ends nothing",
            "set session_idle to less than session_lifetime",
        )
    if settings.password_min_length < 15:
        yield Problem(
            "warning",
            "passwords may be shorter than 15 characters, and are the only factor (NIST SP 800-63B-4)",
            "set password_min_length to 15",
        )
    if settings.login_on_password_reset:
        yield Problem(
            "warning",
            "whoever reads the mailbox is logged in by a reset (OWASP Forgot Password Cheat Sheet)",
            "set login_on_password_reset to false",
        )


def _hash(settings: Settings) -> Iterator[Problem]:
    scheme, options = settings.password_schemes[0], settings.password_hash_options
    if scheme != "argon2":
        yield Problem(
            "warning", f"new passwords are hashed by {scheme}", "put argon2 first in password_schemes"
        )
        return
    memory, passes = (int(options.get(f"argon2__{name}", 0)) for name in ("memory_cost", "time_cost"))
    if memory and passes and not any(memory >= m and passes >= t for m, t in ARGON2_FLOOR):
        yield Problem(
            "error",
            f"argon2 with {memory} KiB and {passes} passes is too cheap to attack",
            "set argon2__memory_cost to 19456 and argon2__time_cost to 2, or more",
        )


def _passwords(host: AuthHost) -> Iterator[Problem]:
    """Schemes that do not work, and what the stored hashes say about the accounts."""
    faults = host.passwords.faults()
    for scheme, error in faults.items():
        if not isinstance(error, host.passwords.missing_backend):
            yield Problem(
                "error",
                f"the hash library fails for {scheme} ({type(error).__name__}): such accounts cannot log in",
                "pip install 'bcrypt>=4,<5'"
                if "bcrypt" in scheme
                else "install a version that works with passlib",
            )
    if host.settings.password_schemes[0] in faults:
        return
    try:
        counts, unreadable = _stored_hashes(host)
    except SQLAlchemyError:
        return  # The database is a matter of its own.
    for scheme in [each for each in counts if each in faults]:
        if isinstance(faults[scheme], host.passwords.missing_backend):
            yield Problem(
                "error",
                f"{counts[scheme]} accounts have a password hash of {scheme}, whose library is not installed",
                f"pip install authhost[{scheme}]"
                if scheme == "bcrypt"
                else f"install the library of {scheme}",
            )
    if counts:
        listed = ", ".join(f"{scheme} {count}" for scheme, count in sorted(counts.items()))
        yield Problem(
            "warning",
            f"{sum(counts.values())} accounts have an imported or former password hash ({listed}): "
            "a failed login takes another time for them than for an unknown name, and so tells that they "
            "exist (ASVS 5.0, 6.3.8)",
            "each is replaced at the next login; for the others, see the page on keys and backups",
        )
    if unreadable:
        yield Problem(
            "warning",
            f"{unreadable} accounts have a password hash that no scheme of password_schemes can read",
            "add its scheme to password_schemes, or have these people reset their password",
        )


def _stored_hashes(host: AuthHost) -> tuple[dict[str, int], int]:
    """Return how many accounts have other hashes than new ones, by scheme, and how many no scheme can read.

    A thousand of them are read as a whole; the rest is told by what it begins with.
    """

    def begins(mark: str) -> ColumnElement[bool]:
        return func.substr(users.c.password, 1, len(mark)) == mark

    marks = [(mark, scheme) for scheme, each in host.passwords.prefixes().items() for mark in each]
    current = begins(host.passwords.current_prefix())
    kind = case((current, ""), *((begins(mark), scheme) for mark, scheme in marks), else_="?").label("kind")
    stored = users.c.password.is_not(None)
    with host.reader.connect() as connection:
        rows = connection.execute(select(kind, func.count()).where(stored).group_by("kind")).all()
        counts = {str(name): int(count) for name, count in rows if name}
        unmarked, unreadable = counts.pop("?", 0), 0
        if counts or unmarked:
            sample = select(users.c.password).where(stored, ~current).limit(1000)
            for hashed in connection.execute(sample).scalars():
                scheme = host.passwords.scheme_of(hashed)
                named = next((name for mark, name in marks if hashed.startswith(mark)), None)
                if scheme is None:
                    unreadable += 1
                    if named is not None:
                        counts[named] -= 1
                elif named is None:
                    counts[scheme] = counts.get(scheme, 0) + 1
    return {scheme: count for scheme, count in counts.items() if count}, unreadable


def _plugins(host: AuthHost) -> Iterator[Problem]:
    for record in host.registry.records:
        if record.status == "refused":
            yield Problem("error", f"plugin {record.name} was refused", record.reason or "")
    deliverers = [each.name for each in host.registry.loaded() if "deliver_message" in each.hooks]
    if not deliverers:
        yield Problem(
            "warning",
            "no plugin delivers e-mail, so that a lost password cannot be reset",
            "install authhost-email",
        )
    if len(deliverers) > 1:
        yield Problem(
            "warning",
            f"{' and '.join(deliverers)} all deliver e-mail; the first that takes a message has it",
            "block all but one",
        )


def _providers(host: AuthHost) -> Iterator[Problem]:
    settings = host.settings
    if not settings.providers:
        return
    if "{provider}" not in host.urls["social_callback"]:
        yield Problem(
            "error",
            "all providers come back to one address, so that one can pass for another (RFC 9700, 4.4)",
            "put {provider} into urls.social_callback",
        )
    if settings.store_social_tokens and not settings.encryption_keys:
        yield Problem(
            "warning",
            "tokens of providers are encrypted by secret_key, which then cannot be changed",
            "set encryption_keys",
        )
    for app in host.providers:
        if app.settings.login_by_email and not app.trusts_emails:
            yield Problem(
                "warning",
                f"providers.{app.id} has login_by_email, but its word on addresses does not count",
                "set trust_emails to true if it verifies addresses, or login_by_email to false",
            )


def _limits(host: AuthHost) -> Iterator[Problem]:
    settings = host.settings
    if settings.rate_limits is False:
        yield Problem("error", "rate limits are off", "set rate_limits to true")
    elif settings.redis_url is None:
        yield Problem(
            "warning",
            "rate limits are counted in each process by itself",
            "with several processes, set redis_url",
        )
    elif not host.limits.reachable():
        yield Problem("error", "the Redis server of redis_url does not answer", "start it, or mend redis_url")
