"""``authhost check``: what is unsafe, impossible or wrong for production, and what to do about it.

A check is one function in one of three tuples: `SETTINGS_CHECKS` need the
settings alone, `HOST_CHECKS` a host (with its plugins, without its database)
and `DATABASE_CHECKS` a database that is up to date. Plugins add theirs by
`register_checks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from authhost_hookspecs import Finding, FindingLevel
from sqlalchemy.exc import DBAPIError

from authhost.errors import ConfigurationError
from authhost.guard import FAILURES
from authhost.settings import Settings, unknown_variables
from authhost.store import migrate

if TYPE_CHECKING:
    from authhost.host import AuthHost

LOOPBACK = ("localhost", "127.0.0.1", "::1")
ARGON2_FLOOR = ((47104, 1), (19456, 2), (12288, 3))
"""Memory in KiB and passes (OWASP Password Storage Cheat Sheet; ASVS 5.0, Appendix C)."""
ARGON2_DEFAULTS: Mapping[str, int] = {"memory_cost": 65536, "time_cost": 3}
"""What passlib takes where ``password_hash_options`` does not say."""


class Problem(NamedTuple):
    """One finding. An error makes ``authhost check`` fail."""

    level: FindingLevel
    problem: str
    do: str
    plugin: str | None = None
    """The plugin that found it; None for authhost's own checks."""


def problems(host: AuthHost) -> list[Problem]:
    """Return all findings about a host, whose database may be missing or out of date."""
    database = list(_database(host))
    return [
        *environment_problems(),
        *settings_problems(host.settings),
        *chain.from_iterable(check(host) for check in HOST_CHECKS),
        *database,
        *(() if database else chain.from_iterable(check(host) for check in DATABASE_CHECKS)),
        *_of_plugins(host, database_serves=not database),
    ]


def settings_problems(settings: Settings) -> list[Problem]:
    """Return the findings about settings, whether or not a host can be made of them."""
    return list(chain.from_iterable(check(settings) for check in SETTINGS_CHECKS))


def environment_problems() -> Iterator[Problem]:
    """Yield the findings about the environment, whether or not the settings can be read."""
    for name, meant in unknown_variables().items():
        do = f"did you mean {meant}?" if meant else "take it away"
        yield Problem("warning", f"the environment has {name}, which sets nothing", do)


# Of the settings.


def _settings(settings: Settings) -> Iterator[Problem]:
    site = urlsplit(settings.base_url)
    if site.hostname in LOOPBACK:
        yield Problem(
            "warning",
            f"links in mails start with {settings.base_url}, which nobody else can open",
            "set base_url to the address of the site",
        )
    elif site.scheme != "https":
        yield Problem("error", f"links in mails start with {settings.base_url}", "set base_url to https://…")
    if settings.site_name == Settings.__dataclass_fields__["site_name"].default:
        yield Problem("warning", f"mails call the site {settings.site_name!r}", "set site_name")
    if len(set(settings.secret_key)) < 12:
        yield Problem("error", "secret_key is no random text", "set a random one; 48 characters are good")
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
    scheme, options = next(iter(settings.password_schemes), None), settings.password_hash_options
    if scheme != "argon2":
        yield Problem(
            "warning", f"new passwords are hashed by {scheme}", "put argon2 first in password_schemes"
        )
        return
    given = [options.get(f"argon2__{name}", default) for name, default in ARGON2_DEFAULTS.items()]
    if not all(isinstance(each, int) for each in given):
        return  # passlib refuses it, and so does the host
    memory, passes = given
    if not any(memory >= m and passes >= t for m, t in ARGON2_FLOOR):
        yield Problem(
            "error",
            f"argon2 with {memory} KiB and {passes} passes makes guessing stolen hashes too cheap",
            "set argon2__memory_cost to 19456 and argon2__time_cost to 2, or more",
        )


def _hash_options(settings: Settings) -> Iterator[Problem]:
    """Options of a scheme that is not in use; passlib takes them in silence."""
    known = (*settings.password_schemes, "argon2", "all")  # the default options are those of argon2
    for option in settings.password_hash_options:
        *_, scheme, name = ("all", *option.split("__"))
        if scheme not in known:
            near = get_close_matches(scheme, known, 1)
            yield Problem(
                "error",
                f"password_hash_options has {option}, but {scheme} is not in password_schemes: it is idle",
                f"did you mean {near[0]}__{name}?" if near else "remove it, or add the scheme",
            )


def _sqlite(settings: Settings) -> Iterator[Problem]:
    if settings.database_url.startswith("sqlite"):
        yield Problem(
            "hint",
            "the database is an SQLite file, which serves one machine and one write at a time",
            "with several machines, or many logins a second, set database_url to PostgreSQL or MariaDB",
        )


def _trace(settings: Settings) -> Iterator[Problem]:
    if settings.trace:
        yield Problem("warning", "each call of a hook is written to standard error", "set trace to false")


# Of the plugins and of what the host reaches.


def _plugin_names(host: AuthHost) -> Iterator[Problem]:
    """Names in the settings that no installed plugin has. The application may bring some of its own."""
    settings = host.settings
    known = [record.name for record in host.registry.records]
    for where, names, ignored in (
        ("blocked_plugins names", settings.blocked_plugins, "nothing is blocked by it"),
        ("plugins names", settings.plugins or (), "nothing is loaded by it"),
        ("there are settings of", settings.plugin_settings, "they set nothing"),
    ):
        for name in names:
            if name in known:
                continue
            near = get_close_matches(name, known, 1)
            do = f"install authhost-{name}, or remove the name, unless the application brings this plugin"
            yield Problem(
                "error" if near else "warning",
                f"{where} {name!r}, but no plugin of that name is installed: {ignored}",
                f"did you mean {near[0]!r}?" if near else do,
            )


def _plugins(host: AuthHost) -> Iterator[Problem]:
    for record in host.registry.records:
        if record.status == "refused":
            yield Problem("error", f"plugin {record.name} was refused", record.reason or "")
    deliverers = [each.name for each in host.registry.loaded() if "deliver_message" in each.hooks]
    if not deliverers:
        needed = host.settings.email_verification != "none"
        yield Problem(
            "error" if needed else "warning",
            "no plugin delivers e-mail, so that a lost password cannot be reset"
            + (f", and email_verification is {host.settings.email_verification}" if needed else ""),
            "`pip install authhost-email`" + (", or set email_verification to none" if needed else ""),
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


# Of the database.


def _database(host: AuthHost) -> Iterator[Problem]:
    """Whether it is there and up to date; without it nothing that is stored can be looked at."""
    try:
        found = migrate.current(host.reader, host.migrations)
    except ConfigurationError as error:
        yield Problem("error", "the database does not serve", str(error))
    except DBAPIError as error:
        yield Problem("error", "the database does not serve", " ".join(str(error.orig).split()))
    else:
        if late := [name for name, state in found.items() if not state.current]:
            yield Problem(
                "error", f"the database is not up to date ({', '.join(late)})", "run `authhost db upgrade`"
            )


def _of_plugins(host: AuthHost, *, database_serves: bool) -> Iterator[Problem]:
    """What the plugins' own checks find. Without a database, only what they find before they need it."""
    for plugin, checks in host.registry.checks().items():
        for check in checks:
            try:
                for each in check(host):
                    if not isinstance(each, Finding):
                        raise TypeError
                    yield Problem(each.level, each.problem, each.do, plugin)
            except FAILURES as error:
                if database_serves:  # its text may carry anything, and stays out
                    what = f"a check of this plugin failed: {type(error).__name__}"
                    yield Problem("error", what, "tell its author, or block the plugin", plugin)


SETTINGS_CHECKS: tuple[Callable[[Settings], Iterable[Problem]], ...] = (
    _settings,
    _hash,
    _hash_options,
    _sqlite,
    _trace,
)
HOST_CHECKS: tuple[Callable[[AuthHost], Iterable[Problem]], ...] = (
    _plugin_names,
    _plugins,
    _providers,
    _limits,
)
DATABASE_CHECKS: tuple[Callable[[AuthHost], Iterable[Problem]], ...] = ()
