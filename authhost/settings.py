"""The settings of a host: a frozen dataclass, filled by code, by TOML or from the environment."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_type_hints

from authhost.errors import ConfigurationError

ENV_PREFIX = "AUTHHOST_"
BOOLEANS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}

DEFAULT_URLS: Mapping[str, str] = {
    "confirm_email": "/account/confirm-email/{key}",
    "reset_password": "/account/reset-password/{key}",
    "login": "/account/login",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All times are in seconds. Secrets stay out of the repr."""

    database_url: str = field(default="sqlite:///authhost.sqlite3", repr=False)
    secret_key: str = field(default="", repr=False)
    site_name: str = "authhost"
    base_url: str = "http://localhost:8000"
    urls: Mapping[str, str] = field(default_factory=dict)
    redis_url: str | None = field(default=None, repr=False)

    plugins: tuple[str, ...] | None = None
    """Names of the plugins to load; None loads all that are installed."""
    blocked_plugins: tuple[str, ...] = ()
    required_plugins: tuple[str, ...] = ()
    strict: bool = False
    """Any refused plugin stops the host."""
    slow_hook: float = 0.1
    plugin_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)

    signup_open: bool = True
    email_verification: Literal["none", "optional", "mandatory"] = "optional"
    login_on_email_confirmation: bool = False
    login_on_password_reset: bool = False
    change_email: bool = False
    """One address at a time: confirming a new one replaces the old."""
    max_email_addresses: int = 10
    username_min_length: int = 1
    username_max_length: int = 150

    password_min_length: int = 15
    password_max_length: int = 1024
    password_schemes: tuple[str, ...] = ("argon2", "bcrypt", "pbkdf2_sha256", "django_pbkdf2_sha256")
    password_hash_options: Mapping[str, Any] = field(
        default_factory=lambda: {
            "argon2__type": "ID",
            "argon2__memory_cost": 19456,
            "argon2__time_cost": 2,
            "argon2__parallelism": 1,
        }
    )
    max_concurrent_hashes: int = field(default_factory=lambda: max(2, os.cpu_count() or 2))

    session_idle: float = 14 * 86400
    session_lifetime: float = 30 * 86400
    session_touch: float = 60
    reauthentication_timeout: float = 300
    pending_login_timeout: float = 900
    email_confirmation_timeout: float = 3 * 86400
    email_confirmation_cooldown: float = 180
    password_reset_timeout: float = 3600
    rate_limits: Mapping[str, str] | bool = True
    """False turns all off; a mapping overrides single actions (see `authhost.ratelimits`)."""

    def __post_init__(self) -> None:
        if len(self.secret_key) < 32:
            raise ConfigurationError(
                "secret_key must have at least 32 characters; make one with "
                "`python -c 'import secrets; print(secrets.token_urlsafe(48))'` and set AUTHHOST_SECRET_KEY"
            )
        if self.password_min_length < 8:
            raise ConfigurationError("password_min_length must be at least 8 (NIST SP 800-63B-4)")
        if self.password_max_length < 64:
            raise ConfigurationError("password_max_length must be at least 64 (NIST SP 800-63B-4)")
        if self.email_verification not in ("none", "optional", "mandatory"):
            raise ConfigurationError("email_verification must be none, optional or mandatory")
        object.__setattr__(self, "base_url", self.base_url.rstrip("/"))

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None, /, **overrides: Any) -> Self:
        """Read a TOML file, then the environment (``AUTHHOST_…``), then ``overrides``.

        ``[plugins.NAME]`` in the file is what plugin NAME is set to. Raises
        `ConfigurationError` for a name that does not exist or a value that
        does not fit.
        """
        values: dict[str, Any] = {}
        if path is not None:
            try:
                values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise ConfigurationError(f"cannot read {path}: {error}") from error
            tables = values.pop("plugins", {})
            if isinstance(tables, list):
                values["plugins"] = tables
            else:
                values["plugin_settings"] = tables
        values |= _from_environment(cls) | overrides
        known = {each.name for each in fields(cls)}
        for name in values:
            if name not in known:
                hint = get_close_matches(name, known, 1)
                raise ConfigurationError(
                    f"there is no setting {name!r}" + (f"; did you mean {hint[0]!r}?" if hint else "")
                )
        given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**given)


def _from_environment(cls: type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, hint in get_type_hints(cls).items():
        text = os.environ.get(ENV_PREFIX + name.upper())
        if text is not None:
            found[name] = parse(name, text, hint)
    return found


def parse(name: str, text: str, hint: Any) -> Any:
    """Turn the text of an environment variable into the type of setting ``name``."""
    kinds = (hint, *get_args(hint))
    try:
        if bool in kinds:
            return BOOLEANS[text.lower()]
        for kind in (int, float):
            if kind in kinds:
                return kind(text)
    except (KeyError, ValueError) as error:
        raise ConfigurationError(f"{ENV_PREFIX}{name.upper()}={text!r} does not fit {hint}") from error
    if any(getattr(kind, "__origin__", None) is tuple for kind in kinds):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if any(getattr(kind, "__origin__", None) is not None and str not in get_args(hint) for kind in kinds[:1]):
        if getattr(hint, "__origin__", None) is Literal:
            return text
        raise ConfigurationError(f"{ENV_PREFIX}{name.upper()} can only be set in the TOML file")
    return text
