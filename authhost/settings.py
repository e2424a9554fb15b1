"""The settings of a host: a frozen dataclass, filled by code, by TOML or from the environment."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, get_args, get_origin, get_type_hints

from authhost.errors import ConfigurationError

ENV_PREFIX = "AUTHHOST_"
T = TypeVar("T")

DEFAULT_URLS: Mapping[str, str] = {
    "confirm_email": "/account/confirm-email/{key}",
    "reset_password": "/account/reset-password/{key}",
    "login": "/account/login",
    "social_callback": "/account/social/{provider}/callback",
}

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
"""The scripts of usernames, as the names of their characters in Unicode begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All times are in seconds. Secrets stay out of the repr."""

    database_url: str = field(default="sqlite:///authhost.sqlite3", repr=False)
    """An SQLAlchemy URL: SQLite (a file), PostgreSQL or MariaDB.

    The path of an SQLite file in the TOML file is relative to the folder of the TOML file.
    """
    secret_key: str | tuple[str, ...] = field(default="", repr=False)
    """Signs device tokens and keys the hashes of what was typed; at least 32 random characters.

    The same in all processes of a site, and another one for each site. A list
    changes the key: the first is active, the former ones still verify.
    """
    encryption_keys: tuple[str, ...] = field(default=(), repr=False)
    """Encrypt what providers of social login hand over, and what plugins seal, such as links of mails.

    The first is used, the others still open. At least 32 random characters each.
    ``secret_key`` serves where there is none.
    """
    site_name: str = "authhost"
    """What the site is called in e-mails."""
    base_url: str = "http://localhost:8000"
    """Where people reach the application; links in e-mails start with it."""
    urls: Mapping[str, str] = field(default_factory=dict)
    """Paths of pages: ``confirm_email``, ``reset_password`` (with ``{key}``), ``login``, and
    ``social_callback`` (with ``{provider}``), which the provider has to know."""
    redis_url: str | None = field(default=None, repr=False)
    """Where rate limits are counted; without it, in each process by itself."""

    plugins: tuple[str, ...] | None = None
    """Names of the plugins to load; None loads all that are installed."""
    blocked_plugins: tuple[str, ...] = ()
    """Names of plugins to leave out."""
    required_plugins: tuple[str, ...] = ()
    """Names of plugins without which the host does not start, and whose failure ends a flow."""
    strict: bool = False
    """Any refused plugin stops the host."""
    slow_hook: float = 0.1
    """An implementation that takes longer is named in the log."""
    trace: bool = False
    """Each call of a hook is written to standard error, without secrets: for development."""
    plugin_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """Settings by plugin; ``[plugins.NAME]`` in the TOML file."""

    signup_open: bool = True
    """Whether anybody may sign up."""
    email_verification: Literal["none", "optional", "mandatory"] = "optional"
    """Whether a confirmation is sent at signup, and whether login waits for it."""
    login_on_email_confirmation: bool = False
    """Confirming logs in, in the browser whose login waits for it."""
    login_on_password_reset: bool = False
    """Resetting the password logs in."""
    change_email: bool = False
    """One address at a time: confirming a new one replaces the old."""
    max_email_addresses: int = 10
    """How many addresses an account may have."""
    username_min_length: int = 1
    """Characters."""
    username_max_length: int = 150
    """Characters; at most 150."""
    username_scripts: tuple[str, ...] = ("latin",)
    """Scripts of the letters in new usernames, such as ``cyrillic``; a name is of one of them.

    Names of different scripts can look alike: more than one is a choice. For
    Japanese name ``cjk``, ``hiragana`` and ``katakana``.
    """

    password_min_length: int = 15
    """Characters; 15 where the password is the only factor, at least 8 (NIST SP 800-63B-4)."""
    password_max_length: int = 1024
    """Characters; 64 to 4096."""
    password_schemes: tuple[str, ...] = ("argon2", "bcrypt", "pbkdf2_sha256", "django_pbkdf2_sha256")
    """passlib's names; new passwords use the first, a login moves the others to it."""
    password_hash_options: Mapping[str, Any] = field(
        default_factory=lambda: {
            "argon2__type": "ID",
            "argon2__memory_cost": 19456,
            "argon2__time_cost": 2,
            "argon2__parallelism": 1,
        }
    )
    """passlib's options; the defaults are OWASP's for argon2id."""
    max_concurrent_hashes: int = field(default_factory=lambda: max(2, os.cpu_count() or 2))
    """How many passwords are hashed at once in this process; each takes 19 MiB."""
    password_hash_wait: float = 2
    """A request waits this long at most until its password is hashed; after that it is refused as busy."""
    password_hash_queue: int = 256
    """How many requests may wait so in this process; further ones are refused as busy at once."""

    session_idle: float = 14 * 86400
    """A session ends when it was not used for so long."""
    session_lifetime: float = 30 * 86400
    """A session ends so long after the login."""
    session_touch: float = 60
    """The use of a session is written down this often at most."""
    reauthentication_timeout: float = 300
    """Sensitive changes need a login, or a confirmed password, this recent."""
    pending_login_timeout: float = 900
    """How long after a login a confirmation in the same browser completes it; later it only confirms."""
    unverified_account_timeout: float = 7 * 86400
    """With mandatory verification an account whose address was not confirmed is deleted after so long.

    With optional verification its address can be taken by another signup once
    the account has not been used for so long.
    """
    email_confirmation_timeout: float = 3 * 86400
    """How long the link of a confirmation works."""
    password_reset_timeout: float = 3600
    """How long the link of a reset works."""
    providers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """Providers of social login by the id that they get here; ``[providers.NAME]`` in the TOML file.

    What each can be set to is listed under providers in the documentation.
    """
    social_auto_signup: bool = True
    """Whoever comes from a provider with a usable address has an account at once."""
    social_email_required: bool = True
    """A social signup without an address asks for one."""
    store_social_tokens: bool = False
    """Keep the providers' tokens, encrypted, for calls to their APIs."""
    social_step_timeout: float = 900
    """How long a redirect to a provider, or a signup that asks for more, may take."""
    allowed_next_hosts: tuple[str, ...] = ()
    """Hosts beside that of ``base_url`` that ``next`` may lead to."""
    rate_limits: Mapping[str, str] | bool = True
    """False turns all off; a table overrides single actions, such as ``login = "5/minute/ip"``."""

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
            raise ConfigurationError("password_max_length must be at most 4096, which is what is hashed")
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
        object.__setattr__(self, "base_url", self.base_url.rstrip("/"))

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """The keys of ``secret_key``: the active one first, then the former ones."""
        keys = (self.secret_key,) if isinstance(self.secret_key, str) else self.secret_key
        return tuple(dict.fromkeys(keys))

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None, /, **overrides: Any) -> Self:
        """Read a TOML file, then the environment (``AUTHHOST_…``), then ``overrides``.

        ``[plugins.NAME]`` in the file, or ``AUTHHOST_PLUGINS__NAME__SETTING``,
        is what plugin NAME is set to; likewise ``[providers.NAME]``. A relative path of an SQLite file
        in ``database_url`` of the TOML file starts at the folder of the TOML file, so that every process
        uses the same database, whichever folder it runs in. Raises `ConfigurationError` for a name that
        does not exist or a value that does not fit.
        """
        values: dict[str, Any] = {}
        if path is not None:
            try:
                values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
            except OSError as error:
                raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
            except ValueError as error:
                hint = "; set the list of plugins by AUTHHOST_PLUGINS" if "('plugins'," in str(error) else ""
                raise ConfigurationError(f"cannot read {path}: {error}{hint}") from error
            if isinstance(values.get("database_url"), str):
                values["database_url"] = _beside(Path(path), values["database_url"])
            tables = values.pop("plugins", {})
            if isinstance(tables, list):
                values["plugins"] = tables
            else:
                values["plugin_settings"] = tables
        for setting, kind in (("plugin_settings", "PLUGINS"), ("providers", "PROVIDERS")):
            merged = {name: dict(each) for name, each in dict(values.get(setting, {})).items()}
            for name, field_name, text in _table_environment(kind):
                merged.setdefault(name, {})[field_name] = text
            values[setting] = merged
        return validated(cls, values | _from_environment(cls) | overrides)


def _beside(toml: Path, url: str) -> str:
    """``url`` with the path of an SQLite file made absolute, from the folder of the TOML file.

    Raises `ConfigurationError` where the file is not there, but is in the current
    folder, where paths started before: an empty database must not take its place.
    """
    scheme, slashes, name = url.partition(":///")
    if (
        scheme.partition("+")[0] != "sqlite"
        or not slashes
        or name.startswith(("/", ":", "file:"))
        or not name
    ):
        return url
    plain, folder = name.partition("?")[0], os.path.dirname(os.path.abspath(toml))
    file, here = Path(folder, plain), Path(plain).absolute()
    if here != file and here.exists() and not file.exists():
        raise ConfigurationError(
            f"database_url in {toml} means {file}, which is not there, but {here} is; "
            "write the whole path of the database"
        )
    from sqlalchemy import make_url  # it quotes the path as its own version reads it again

    return make_url(url).set(database=f"{folder}/{plain}").render_as_string(hide_password=False)


def validated(kind: type[T], values: Mapping[str, Any], owner: str = "") -> T:
    """An instance of dataclass ``kind``; raises `ConfigurationError` for a wrong name or value.

    ``owner`` says whose settings these are. The values themselves stay out of
    the message, since they may be secret.
    """
    from pydantic import TypeAdapter, ValidationError

    known = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            near = get_close_matches(name, known, 1)
            raise ConfigurationError(
                f"{owner or 'authhost'} has no setting {name!r}; "
                + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}")
            )
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        found = "; ".join(map(_complaint, error.errors()))
        raise ConfigurationError(f"a setting{owner and f' of {owner}'} does not fit: {found}") from None


def _complaint(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors; what a class's own ``__post_init__`` raised is left as it is."""
    own = error.get("ctx", {}).get("error")
    message = (str(own) or type(own).__name__) if isinstance(own, Exception) else error["msg"]
    return ": ".join(filter(None, (".".join(map(str, error["loc"])), message)))


def _from_environment(cls: type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, hint in get_type_hints(cls).items():
        text = os.environ.get(ENV_PREFIX + name.upper())
        if text is None:
            continue
        kinds = [get_origin(kind) for kind in (hint, *get_args(hint))]
        if tuple in kinds:
            parts = tuple(part.strip() for part in text.split(",") if part.strip())
            # A single key may contain a comma, so this is a list only where each part can be a key.
            single = name == "secret_key" and (len(parts) < 2 or any(len(part) < 32 for part in parts))
            found[name] = text if single else parts
        elif Mapping in kinds and bool not in get_args(hint):
            raise ConfigurationError(f"{ENV_PREFIX}{name.upper()} can only be set in the TOML file")
        else:
            found[name] = text
    return found


def unknown_variables() -> dict[str, str | None]:
    """Variables that begin like authhost's and set nothing, each with the one that may have been meant."""
    tables = tuple(f"{ENV_PREFIX}{kind}__" for kind in ("PLUGINS", "PROVIDERS"))
    others = ("config", "test_database_url")  # of the command line and of the testing kit
    known = [f"{ENV_PREFIX}{name.upper()}" for name in (*(each.name for each in fields(Settings)), *others)]
    return {
        name: next(iter(get_close_matches(name, known, 1)), None)
        for name in sorted(os.environ)
        if name.startswith(ENV_PREFIX)
        and name not in known
        and not (name.startswith(tables) and name.count("__") == 2)
    }


def _table_environment(kind: str) -> Iterator[tuple[str, str, str]]:
    """``AUTHHOST_PLUGINS__EMAIL__SMTP_HOST=…`` as ("email", "smtp_host", "…")."""
    for variable, text in os.environ.items():
        parts = variable.split("__")
        if parts[0] == ENV_PREFIX + kind and len(parts) == 3:
            yield parts[1].lower(), parts[2].lower(), text
