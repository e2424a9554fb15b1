"""The contract between authhost and its plugins."""

from authhost_hookspecs import account, extensions, socialaccount
from authhost_hookspecs._markers import CONTRACT_VERSION, PROJECT_NAME, hookimpl, hookspec
from authhost_hookspecs.declarations import Finding, FindingLevel, Message, MessageKind, PluginTables
from authhost_hookspecs.errors import CannotOpen, FlowError, Refused, StopFlow
from authhost_hookspecs.protocols import (
    Authentication,
    EmailAddress,
    EmailConfirmation,
    Host,
    Request,
    Session,
    Settings,
    SocialAccount,
    SocialEmail,
    SocialLogin,
    SocialToken,
    User,
)
from authhost_hookspecs.providers import (
    OAuth1Provider,
    OAuth2Provider,
    OpenIDConnectProvider,
    Profile,
    Provider,
    ProviderEmail,
    ReadProfile,
    claims_profile,
)

__all__ = [
    "CONTRACT_VERSION",
    "PROJECT_NAME",
    "Authentication",
    "CannotOpen",
    "EmailAddress",
    "EmailConfirmation",
    "Finding",
    "FindingLevel",
    "FlowError",
    "Host",
    "Message",
    "MessageKind",
    "OAuth1Provider",
    "OAuth2Provider",
    "OpenIDConnectProvider",
    "PluginTables",
    "Profile",
    "Provider",
    "ProviderEmail",
    "ReadProfile",
    "Refused",
    "Request",
    "Session",
    "Settings",
    "SocialAccount",
    "SocialEmail",
    "SocialLogin",
    "SocialToken",
    "StopFlow",
    "User",
    "account",
    "claims_profile",
    "extensions",
    "hookimpl",
    "hookspec",
    "socialaccount",
]
