"""The settings of a host and their defaults."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any, Literal, Self

from authhost.errors import ConfigurationError
from authhost.settings.sources import ENV_PREFIX, read_environment, read_toml, table_environment
from authhost.settings.validation import validated

DEFAULT_URLS: Mapping[str, str] = {
    "confirm_email": "/confirm-email/{key}",
    "reset_password": "/reset-password/{key}",
    "login": "/login",
    "social_callback": "/social/{provider}/callback",
    "impersonate": "/impersonation/begin/{key}",
}
"""The pages that e-mails, providers and commands link to, below ``web_prefix``."""
FORM_FIELDS = ("email", "identifier", "password", "username", "next", "provider", "process", "signup_token")
"""The fields of the forms of signup and login."""
TOKEN = re.compile(r"[\x21-\x7e]{32,}")
ORIGIN = re.compile(r"https?://[^\s/?#@]+", re.ASCII)
BASE_URL = re.compile(rf"{ORIGIN.pattern}(/[^\s?#]*)?", re.ASCII)
COLOR = re.compile(r"#[0-9a-fA-F]{6}")

USERNAME_SCRIPTS = (
    "arabic",
    "armenian",
    "bengali",
    "bopomofo",
    "cjk",
    "cyrillic",
    "devanagari",
    "ethiopic",
    "georgian",
    "greek",
    "gujarati",
    "gurmukhi",
    "hangul",
    "hebrew",
    "hiragana",
    "kannada",
    "katakana",
    "khmer",
    "lao",
    "latin",
    "malayalam",
    "myanmar",
    "sinhala",
    "tamil",
    "telugu",
    "thai",
    "tibetan",
)
"""The scripts of usernames: the first word of the Unicode names of their characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All times are in seconds. The repr contains no secrets."""

    database_url: str = field(default="sqlite:///authhost.sqlite3", repr=False)
    """An SQLAlchemy URL: SQLite (a file), PostgreSQL or MariaDB.

    The path of an SQLite file in the TOML file is relative to the folder of the TOML file.
    """
    secret_key: str | tuple[str, ...] = field(default="", repr=False)
    """Signs device tokens, and is the key of hashes of identifiers; at least 32 random characters.

    All processes of a site use the same key, and each site has its own. To change
    the key, set a list: the first key is active, the former ones still verify.
    """
    encryption_keys: tuple[str, ...] = field(default=(), repr=False)
    """Encrypt tokens and profiles of social login providers, and what plugins seal, such as links in e-mails.

    The first key encrypts, all of them decrypt. At least 32 random characters each.
    Without any, ``secret_key`` is used.
    """
    site_name: str = "authhost"
    """The name of the site in e-mails."""
    base_url: str = "http://localhost:8000"
    """The address of the application; links in e-mails start with it."""
    urls: Mapping[str, str] = field(default_factory=dict)
    """Paths of pages: ``confirm_email``, ``reset_password`` and ``impersonate`` (with ``{key}``), ``login``,
    and ``social_callback`` (with ``{provider}``), which is registered at the provider.

    By default they are the pages of the web layer. Set those that your application has itself.
    """
    redis_url: str | None = field(default=None, repr=False)
    """The Redis that counts rate limits. Without it, each process counts for itself."""

    plugins: tuple[str, ...] | None = None
    """Names of the plugins to load; None loads all installed plugins."""
    blocked_plugins: tuple[str, ...] = ()
    """Names of the plugins that are not loaded."""
    blocked_plugins_refresh: float = 5
    """Seconds until a process reads again which plugins are blocked at run time (``authhost plugins block``).

    With 0 it reads that only when it starts.
    """
    required_plugins: tuple[str, ...] = ()
    """Names of the plugins that must be loaded for the host to start. Their failure ends a flow."""
    login_without_plugins: tuple[str, ...] = ()
    """Names of plugins that may be missing although they guard accounts: people log in without their steps.

    For a plugin that was removed for good, such as one for second factors.
    """
    strict: bool = False
    """The host does not start if any plugin is refused."""
    slow_hook: float = 0.1
    """A hook implementation that takes longer is logged."""
    background_threads: int = 2
    """The maximum number of threads for the jobs of ``in_background``; they start with the first job.

    As many again can replace threads whose jobs run longer than ``background_timeout``.
    """
    background_queue: int = 1000
    """The maximum number of jobs that wait for a thread; further ones are dropped and logged."""
    background_timeout: float = 60
    """A job that runs longer is logged. It is not stopped."""
    background_drain: float = 10
    """How long the host waits for jobs when it is closed; jobs that have not ended then are logged."""
    trace: bool = False
    """Write each call of a hook to standard error, without secrets; for development."""
    plugin_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """The settings of plugins, by plugin; ``[plugins.NAME]`` in the TOML file."""

    administrators: tuple[str, ...] = ()
    """The addresses of those who may manage the accounts of others, such as ``ann@example.org``.

    An address counts only as the verified primary address of an active account. Plugins
    can add others (`is_administrator`).
    """
    signup_open: bool = True
    """Whether anybody may sign up."""
    email_verification: Literal["none", "optional", "mandatory"] = "optional"
    """Whether a confirmation is sent at signup, and whether a login requires it."""
    login_on_email_confirmation: bool = False
    """Confirming an address logs in, in the browser with the pending login."""
    login_on_password_reset: bool = False
    """A reset of the password logs in."""
    change_email: bool = False
    """An account has one address: confirming a new one replaces it."""
    max_email_addresses: int = 10
    """The maximum number of addresses of an account."""
    username_min_length: int = 1
    """Characters."""
    username_max_length: int = 150
    """Characters; at most 150."""
    username_scripts: tuple[str, ...] = ("latin",)
    """Scripts of the letters in new usernames, such as ``cyrillic``. A name uses one of them.

    Names of different scripts can look alike, so add a script only if you need it.
    For Japanese, set ``cjk``, ``hiragana`` and ``katakana``.
    """

    password_min_length: int = 15
    """Characters; 15 if the password is the only factor, at least 8 (NIST SP 800-63B-4)."""
    password_max_length: int = 1024
    """Characters; 64 to 4096."""
    password_schemes: tuple[str, ...] = ("argon2", "bcrypt", "pbkdf2_sha256", "django_pbkdf2_sha256")
    """Names of passlib. New passwords use the first; a login rehashes passwords of the others."""
    password_hash_options: Mapping[str, Any] = field(
        default_factory=lambda: {
            "argon2__type": "ID",
            "argon2__memory_cost": 19456,
            "argon2__time_cost": 2,
            "argon2__parallelism": 1,
        }
    )
    """Options of passlib. The defaults are OWASP's recommendation for argon2id."""
    max_concurrent_hashes: int = field(default_factory=lambda: max(2, os.cpu_count() or 2))
    """The maximum number of passwords that this process hashes at once; each takes 19 MiB."""
    password_hash_wait: float = 2
    """The maximum time that a request waits to hash its password; then it is refused as ``busy``."""
    password_hash_queue: int = 256
    """The maximum number of requests that wait in this process; others are refused as ``busy`` at once."""

    session_idle: float = 14 * 86400
    """A session ends after this time without use."""
    session_lifetime: float = 30 * 86400
    """A session ends this time after the login."""
    session_touch: float = 60
    """The minimum time between two updates of a session's last use."""
    reauthentication_timeout: float = 300
    """Sensitive changes require a login or a confirmed password that is not older."""
    administration_timeout: float = 900
    """The pages of administrators require a login or a confirmed password that is not older."""
    pending_login_timeout: float = 900
    """How long a login can wait for a step of a plugin, or for a confirmation in the same browser."""
    unverified_account_timeout: float = 7 * 86400
    """With mandatory verification, an account without a confirmed address is deleted after this time.

    With optional verification, another signup can take its address if the account
    was not used for this time.
    """
    email_confirmation_timeout: float = 3 * 86400
    """How long the link of a confirmation is valid."""
    password_reset_timeout: float = 3600
    """How long the link of a password reset is valid."""
    invitation_timeout: float = 7 * 86400
    """How long the link is valid by which somebody accepts an account that an administrator has created."""
    providers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """Providers of social login, by an id that you choose; ``[providers.NAME]`` in the TOML file.

    The page "Providers" of the documentation lists the settings of each one.
    """
    social_auto_signup: bool = True
    """A person who comes from a provider with a usable address gets an account at once."""
    social_email_required: bool = True
    """A social signup without an address requires one."""
    store_social_tokens: bool = False
    """Store the tokens of providers, encrypted, for calls of their APIs."""
    social_step_timeout: float = 900
    """How long a redirect to a provider, or a signup that requires more input, may take."""
    allowed_next_hosts: tuple[str, ...] = ()
    """Hosts that ``next`` may lead to, in addition to that of ``base_url``."""
    web_prefix: str = "/account"
    """The path below which the web layer serves its pages, and its JSON API in ``api``."""
    trusted_proxies: int = 0
    """How many proxies in front of the application add the client's address to ``X-Forwarded-For``.

    With 0, that header is ignored, and the client's address is that of the connection.
    """
    trusted_origins: tuple[str, ...] = ()
    """Origins other than that of ``base_url`` whose pages may send requests, such as ``https://app.example.org``."""
    username_at_signup: Literal["no", "optional", "required"] = "no"
    """Whether the signup form asks for a username."""
    web_given: tuple[str, ...] = ()
    """Parameters of the signup and login pages that plugins get as ``request.given``, such as ``invitation``.

    A link such as ``/account/signup?invitation=…`` passes it on, also through a social login.
    """
    metrics_token: str = field(default="", repr=False)
    """The bearer token of ``/account/metrics``, the endpoint for Prometheus: at least 32 random characters.

    Without it there is no such endpoint. It needs ``authhost[metrics]``.
    """
    after_login: str = ""
    """The path after a login that has no ``next``. Without it, this is the account page."""
    after_logout: str = ""
    """The path after a logout. Without it, this is the login page."""
    brand_color: str = "#1d4ed8"
    """The colour of buttons in the pages, as ``#rrggbb``. The text on it is black or white."""
    brand_logo: str = ""
    """The URL of a logo: a path of this site, or an ``https`` URL. Without it, the site's name is shown."""
    web_templates: str = ""
    """A folder with Jinja2 templates that replace those of the pages."""
    rate_limits: Mapping[str, str] | bool = True
    """False disables all; a table overrides single actions, such as ``login = "5/minute/ip"``."""

    def __post_init__(self) -> None:
        if not isinstance(self.secret_key, str):
            object.__setattr__(self, "secret_key", tuple(self.secret_key))
        if not self.secret_keys or any(not isinstance(key, str) or len(key) < 32 for key in self.secret_keys):
            raise ConfigurationError(
                "secret_key must have at least 32 characters, and so must each key of a list; make one with "
                "`python -c 'import secrets; print(secrets.token_urlsafe(48))'` and set AUTHHOST_SECRET_KEY"
            )
        if any(len(key) < 32 for key in self.encryption_keys):
            raise ConfigurationError("each of encryption_keys must have at least 32 characters")
        if self.password_min_length < 8:
            raise ConfigurationError("password_min_length must be at least 8 (NIST SP 800-63B-4)")
        if self.password_max_length < 64:
            raise ConfigurationError("password_max_length must be at least 64 (NIST SP 800-63B-4)")
        if self.password_max_length > 4096:
            raise ConfigurationError("password_max_length must be at most 4096, the maximum that is hashed")
        if self.background_threads < 1:
            raise ConfigurationError("background_threads must be at least 1")
        if self.background_queue < 1:
            raise ConfigurationError("background_queue must be at least 1")
        if self.background_timeout <= 0:
            raise ConfigurationError("background_timeout must be more than 0 seconds")
        if not 0 <= self.background_drain <= 600:
            raise ConfigurationError("background_drain must be 0 to 600 seconds")
        if not 0 <= self.blocked_plugins_refresh <= 60:
            raise ConfigurationError("blocked_plugins_refresh must be 0 to 60 seconds")
        if self.max_concurrent_hashes < 1:
            raise ConfigurationError("max_concurrent_hashes must be at least 1")
        if not 0 <= self.password_hash_wait <= 60:
            raise ConfigurationError("password_hash_wait must be 0 to 60 seconds")
        if self.password_hash_queue < 0:
            raise ConfigurationError("password_hash_queue must not be negative")
        if not 1 <= self.username_min_length <= self.username_max_length <= 150:
            raise ConfigurationError(
                "username_min_length and username_max_length must be 1 to 150, in this order"
            )
        unknown = sorted(set(self.username_scripts) - set(USERNAME_SCRIPTS))
        if unknown or not self.username_scripts:
            raise ConfigurationError(
                f"username_scripts has {', '.join(map(repr, unknown)) or 'nothing'}; there are "
                + ", ".join(USERNAME_SCRIPTS)
            )
        if self.email_verification not in ("none", "optional", "mandatory"):
            raise ConfigurationError("email_verification must be none, optional or mandatory")
        if not BASE_URL.fullmatch(self.base_url):
            raise ConfigurationError("base_url must be an http or https URL, such as https://example.org")
        object.__setattr__(self, "base_url", self.base_url.rstrip("/"))
        self._check_web()

    def _check_web(self) -> None:
        if not re.fullmatch(r"(/[A-Za-z0-9_.~-]+)+", self.web_prefix):
            raise ConfigurationError("web_prefix must be a path such as /account, without a slash at its end")
        if self.metrics_token and not TOKEN.fullmatch(self.metrics_token):
            raise ConfigurationError(
                "metrics_token must have at least 32 characters of ASCII, without spaces; make one with "
                "`python -c 'import secrets; print(secrets.token_urlsafe(48))'`"
            )
        if not 0 <= self.trusted_proxies <= 10:
            raise ConfigurationError("trusted_proxies must be 0 to 10")
        for origin in self.trusted_origins:
            if not ORIGIN.fullmatch(origin):
                raise ConfigurationError(
                    f"trusted_origins has {origin!r}; an origin is a scheme and a host without a path, "
                    "such as https://app.example.org"
                )
        for name in self.web_given:
            if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name) or name in FORM_FIELDS:
                raise ConfigurationError(
                    f"web_given has {name!r}; a name has lower-case letters, digits and _, "
                    f"and is none of {', '.join(FORM_FIELDS)}"
                )
        if self.username_at_signup not in ("no", "optional", "required"):
            raise ConfigurationError("username_at_signup must be no, optional or required")
        if not COLOR.fullmatch(self.brand_color):
            raise ConfigurationError("brand_color must be a colour such as #1d4ed8")
        if self.brand_logo and not re.fullmatch(r"(https://|/(?![/\\]))[^\s\"';,]+", self.brand_logo):
            raise ConfigurationError("brand_logo must be a path of this site, or an https URL")
        for name in ("after_login", "after_logout"):
            path = getattr(self, name)
            if path and not re.fullmatch(r"/(?![/\\])[^\s\\]*", path):
                raise ConfigurationError(f"{name} must be a path of this site, such as /")

    @property
    def page_urls(self) -> dict[str, str]:
        """The paths of ``urls``, with the default ones for those that are not set."""
        default = {name: self.web_prefix + path for name, path in DEFAULT_URLS.items()}
        return {**default, **self.urls}

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """The keys of ``secret_key``: the active one first, then the former ones."""
        keys = (self.secret_key,) if isinstance(self.secret_key, str) else self.secret_key
        return tuple(dict.fromkeys(keys))

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None, /, **overrides: Any) -> Self:
        """Read a TOML file, then the environment (``AUTHHOST_…``), then ``overrides``.

        ``[plugins.NAME]`` in the file, or ``AUTHHOST_PLUGINS__NAME__SETTING``,
        sets the settings of plugin NAME; likewise ``[providers.NAME]``. In the TOML file, a relative path
        of an SQLite file in ``database_url`` is relative to the folder of the TOML file, so that all
        processes use the same database. Raises `ConfigurationError` for an unknown name or an invalid value.
        """
        values = read_toml(path) if path is not None else {}
        for setting, kind in (("plugin_settings", "PLUGINS"), ("providers", "PROVIDERS")):
            merged = {name: dict(each) for name, each in dict(values.get(setting, {})).items()}
            for name, field_name, text in table_environment(kind):
                merged.setdefault(name, {})[field_name] = text
            values[setting] = merged
        return validated(cls, values | read_environment(cls) | overrides)


def unknown_variables() -> dict[str, str | None]:
    """Return variables with authhost's prefix that set nothing, each with the most similar known one."""
    tables = tuple(f"{ENV_PREFIX}{kind}__" for kind in ("PLUGINS", "PROVIDERS"))
    others = ("config", "log_format", "test_database_url")  # of the command line and of the testing kit
    known = [f"{ENV_PREFIX}{name.upper()}" for name in (*(each.name for each in fields(Settings)), *others)]
    return {
        name: next(iter(get_close_matches(name, known, 1)), None)
        for name in sorted(os.environ)
        if name.startswith(ENV_PREFIX)
        and name not in known
        and not (name.startswith(tables) and name.count("__") == 2)
    }
