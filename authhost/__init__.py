"""authhost: an authentication engine, built as a plugin host."""

from authhost.errors import AuthError, AuthHostError, ConfigurationError
from authhost.host import AuthHost
from authhost.records import ConfirmResult, EmailAddress, LoginResult, Session, TokenResult, User
from authhost.settings import Settings

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
