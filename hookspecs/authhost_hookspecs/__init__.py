"""The contract between authhost and its plugins."""

from authhost_hookspecs import account, extensions, socialaccount
from authhost_hookspecs._markers import CONTRACT_VERSION, PROJECT_NAME, hookimpl, hookspec
from authhost_hookspecs.declarations import Message, MessageKind, PluginTables, Provider
from authhost_hookspecs.errors import Refused, StopFlow
from authhost_hookspecs.protocols import (
    Authentication,
    EmailAddress,
    EmailConfirmation,
    Host,
    Request,
    Session,
    Settings,
    SocialAccount,
    SocialLogin,
    SocialToken,
    User,
)

__all__ = [
    "CONTRACT_VERSION",
    "PROJECT_NAME",
    "Authentication",
    "EmailAddress",
    "EmailConfirmation",
    "Host",
    "Message",
    "MessageKind",
    "PluginTables",
    "Provider",
    "Refused",
    "Request",
    "Session",
    "Settings",
    "SocialAccount",
    "SocialLogin",
    "SocialToken",
    "StopFlow",
    "User",
    "account",
    "extensions",
    "hookimpl",
    "hookspec",
    "socialaccount",
]
