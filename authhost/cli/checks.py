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
from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from authhost.errors import PLUGIN_FAILURES, ConfigurationError
from authhost.pluginhost.hooks import VETOES
from authhost.settings import DEFAULT_URLS, Settings, unknown_variables
from authhost.store import migrate
from authhost.store.tables import users

if TYPE_CHECKING:
    from authhost.host import AuthHost

LOOPBACK = ("localhost", "127.0.0.1", "::1")
ARGON2_FLOOR = ((47104, 1), (19456, 2), (12288, 3))
"""Memory in KiB and passes (OWASP Password Storage Cheat Sheet; ASVS 5.0, Appendix C)."""
ARGON2_DEFAULTS: Mapping[str, int] = {"memory_cost": 65536, "time_cost": 3}
"""What passlib takes where ``password_hash_options`` does not say."""


class Problem(NamedTuple):
    """One finding. An error makes ``authhost check`` fail; a hint is only to be known."""

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
                f"password_hash_options has {option}, but {scheme} is not in password_schemes: no effect",
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
    return name_problems(host.settings, [record.name for record in host.registry.records])


def name_problems(settings: Settings, known: list[str]) -> Iterator[Problem]:
    """Yield names in the settings that no installed plugin has. The application may bring some of its own."""
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


def _passwords(host: AuthHost) -> Iterator[Problem]:
    """Schemes that do not work."""
    faults = host.services.passwords.test_schemes()
    for scheme, error in faults.items():
        if not isinstance(error, host.services.passwords.missing_backend):
            yield Problem(
                "error",
                f"the hash library fails for {scheme} ({type(error).__name__}): such accounts cannot log in",
                "pip install 'bcrypt>=4,<5'"
                if "bcrypt" in scheme
                else "install a version that works with passlib",
            )


def _stored_passwords(host: AuthHost) -> Iterator[Problem]:
    """What the stored hashes say about the accounts."""
    faults = host.services.passwords.test_schemes()
    if host.settings.password_schemes[0] in faults:
        return
    try:
        counts, unreadable = _stored_hashes(host)
    except SQLAlchemyError:
        return  # The database is a matter of its own.
    for scheme in [each for each in counts if each in faults]:
        if isinstance(faults[scheme], host.services.passwords.missing_backend):
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

    marks = [(mark, scheme) for scheme, each in host.services.passwords.prefixes().items() for mark in each]
    current = begins(host.services.passwords.current_prefix())
    kind = case((current, ""), *((begins(mark), scheme) for mark, scheme in marks), else_="?").label("kind")
    stored = users.c.password.is_not(None)
    with host.reader.connect() as connection:
        rows = connection.execute(select(kind, func.count()).where(stored).group_by("kind")).all()
        counts = {str(name): int(count) for name, count in rows if name}
        unmarked, unreadable = counts.pop("?", 0), 0
        if counts or unmarked:
            sample = select(users.c.password).where(stored, ~current).limit(1000)
            for hashed in connection.execute(sample).scalars():
                scheme = host.services.passwords.scheme_of(hashed)
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


def _vetoes(host: AuthHost) -> Iterator[Problem]:
    """The plugins that can refuse: where one breaks, nobody gets in."""
    for record in host.registry.loaded():
        vetoes = [hook for hook in record.hooks if hook in VETOES]
        if vetoes:
            what = " and ".join(hook.removeprefix("before_").replace("_", " ") + "s" for hook in vetoes)
            failed = sum(record.stats[hook].failures for hook in vetoes)
            told = f", and failed {failed} times so far" if failed else ""
            yield Problem(
                "hint",
                f"plugin {record.name} can refuse {what} ({', '.join(vetoes)}){told}",
                f"if you do not mean it to, add {record.name} to blocked_plugins",
            )


def _providers(host: AuthHost) -> Iterator[Problem]:
    settings = host.settings
    if not settings.providers:
        return
    if "{provider}" not in {**DEFAULT_URLS, **settings.urls}["social_callback"]:
        yield Problem(
            "error",
            "all providers come back to one address, so that one can pass for another (RFC 9700, 4.4)",
            "put {provider} into urls.social_callback",
        )
    if settings.store_social_tokens and not settings.encryption_keys:
        yield Problem(
            "warning",
            "tokens of providers are encrypted by secret_key: after a change of it they must be rotated, too",
            "set encryption_keys",
        )
    for app in host.services.providers:
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
    elif not host.services.limits.reachable():
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
            except PLUGIN_FAILURES as error:
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
    _passwords,
    _plugins,
    _vetoes,
    _providers,
    _limits,
)
DATABASE_CHECKS: tuple[Callable[[AuthHost], Iterable[Problem]], ...] = (_stored_passwords,)
