"""Checks that require only the settings and the environment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import chain
from urllib.parse import urlsplit

from authhost.cli.checks.problem import Problem
from authhost.settings import Settings, unknown_variables

LOOPBACK = ("localhost", "127.0.0.1", "::1")
ARGON2_MINIMUM = ((47104, 1), (19456, 2), (12288, 3))
"""Memory in KiB and passes (OWASP Password Storage Cheat Sheet; ASVS 5.0, Appendix C)."""
ARGON2_DEFAULTS: Mapping[str, int] = {"memory_cost": 65536, "time_cost": 3}
"""The values that passlib uses if ``password_hash_options`` does not set them."""
MIN_SECRET_CHARACTERS = 12
"""How many different characters a secret key must have."""


def settings_problems(settings: Settings) -> list[Problem]:
    """Return the findings about settings, even if no host can be created from them."""
    return list(chain.from_iterable(check(settings) for check in SETTINGS_CHECKS))


def environment_problems() -> Iterator[Problem]:
    """Yield the findings about the environment, even if the settings cannot be read."""
    for name, suggestion in unknown_variables().items():
        do = f"did you mean {suggestion}?" if suggestion else "remove it"
        yield Problem("warning", f"the environment has {name}, which sets nothing", do)


def _check_site(settings: Settings) -> Iterator[Problem]:
    site = urlsplit(settings.base_url)
    if site.hostname in LOOPBACK:
        yield Problem(
            "warning",
            f"links in e-mails start with {settings.base_url}, which other machines cannot open",
            "set base_url to the URL of the site",
        )
    elif site.scheme != "https":
        yield Problem(
            "error", f"links in e-mails start with {settings.base_url}", "set base_url to https://…"
        )
    if settings.site_name == Settings.__dataclass_fields__["site_name"].default:
        yield Problem("warning", f"e-mails call the site {settings.site_name!r}", "set site_name")


def _check_secret_key(settings: Settings) -> Iterator[Problem]:
    if any(len(set(key)) < MIN_SECRET_CHARACTERS for key in settings.secret_keys):
        yield Problem("error", "secret_key is not random", "set a random text, for example of 48 characters")
    if isinstance(settings.secret_key, str) and "," in settings.secret_key:
        yield Problem(
            "warning",
            "secret_key has a comma and is used as one key, since not every part of it has 32 characters",
            "remove the comma, or set a list of keys of at least 32 characters each",
        )


def _check_sessions_and_passwords(settings: Settings) -> Iterator[Problem]:
    if settings.session_idle > settings.session_lifetime:
        yield Problem(
            "warning",
            "session_idle is longer than session_lifetime and has no effect",
            "set session_idle to less than session_lifetime",
        )
    if settings.password_min_length < 15:
        yield Problem(
            "warning",
            "passwords are the only factor and can be shorter than 15 characters (NIST SP 800-63B-4)",
            "set password_min_length to 15",
        )
    if settings.login_on_password_reset:
        yield Problem(
            "warning",
            "a password reset logs in anyone who can read the mailbox (OWASP Forgot Password Cheat Sheet)",
            "set login_on_password_reset to false",
        )


def _check_hash_cost(settings: Settings) -> Iterator[Problem]:
    scheme, options = next(iter(settings.password_schemes), None), settings.password_hash_options
    if scheme != "argon2":
        yield Problem(
            "warning", f"new passwords are hashed with {scheme}", "put argon2 first in password_schemes"
        )
        return
    values = [options.get(f"argon2__{name}", default) for name, default in ARGON2_DEFAULTS.items()]
    if not all(isinstance(each, int) for each in values):
        return  # passlib refuses it, and so does the host
    memory, passes = values
    if not any(memory >= m and passes >= p for m, p in ARGON2_MINIMUM):
        yield Problem(
            "error",
            f"argon2 with {memory} KiB and {passes} passes is too weak against guessing of stolen hashes",
            "set argon2__memory_cost to at least 19456 and argon2__time_cost to at least 2",
        )


def _check_hash_options(settings: Settings) -> Iterator[Problem]:
    """Find options of a scheme that is not used. passlib accepts them without a warning."""
    known = (*settings.password_schemes, "argon2", "all")  # the default options are those of argon2
    for option in settings.password_hash_options:
        *_, scheme, name = ("all", *option.split("__"))
        if scheme not in known:
            near = get_close_matches(scheme, known, 1)
            yield Problem(
                "error",
                f"password_hash_options has {option}, but {scheme} is not in password_schemes: no effect",
                f"did you mean {near[0]}__{name}?" if near else "remove it, or add the scheme",
            )


def _check_sqlite(settings: Settings) -> Iterator[Problem]:
    if settings.database_url.startswith("sqlite"):
        yield Problem(
            "hint",
            "the database is an SQLite file: it supports one machine and one write at a time",
            "for several machines or many logins per second, set database_url to PostgreSQL or MariaDB",
        )


def _check_trace(settings: Settings) -> Iterator[Problem]:
    if settings.trace:
        yield Problem("warning", "every hook call is written to standard error", "set trace to false")


SETTINGS_CHECKS: tuple[Callable[[Settings], Iterable[Problem]], ...] = (
    _check_site,
    _check_secret_key,
    _check_sessions_and_passwords,
    _check_hash_cost,
    _check_hash_options,
    _check_sqlite,
    _check_trace,
)
