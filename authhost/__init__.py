"""authhost: an authentication engine, built as a plugin host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authhost import _moved

if TYPE_CHECKING:
    from authhost.errors import AuthError, AuthHostError, ConfigurationError
    from authhost.host import AuthHost
    from authhost.records import ConfirmResult, EmailAddress, LoginResult, Session, TokenResult, User
    from authhost.settings import Settings

_moved.install()

_MODULES = {
    "AuthError": "errors",
    "AuthHost": "host",
    "AuthHostError": "errors",
    "ConfigurationError": "errors",
    "ConfirmResult": "records",
    "EmailAddress": "records",
    "LoginResult": "records",
    "Session": "records",
    "Settings": "settings",
    "TokenResult": "records",
    "User": "records",
}

__all__ = [
    "AuthError",
    "AuthHost",
    "AuthHostError",
    "ConfigurationError",
    "ConfirmResult",
    "EmailAddress",
    "LoginResult",
    "Session",
    "Settings",
    "TokenResult",
    "User",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: what catches an `AuthError` needs no database."""
    from importlib import import_module

    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
