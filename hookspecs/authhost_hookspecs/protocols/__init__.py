"""The attributes that a plugin may use.

All arguments of hooks are immutable. A plugin may use them after the request has ended.
Times are aware, in UTC. Identifiers are UUIDs of version 7.
"""

from authhost_hookspecs.protocols.accounts import (
    Account,
    Authentication,
    EmailAddress,
    EmailConfirmation,
    Impersonation,
    Session,
    User,
)
from authhost_hookspecs.protocols.answer import Answer, MessageLevel, SameSite
from authhost_hookspecs.protocols.changes import AccountChanges
from authhost_hookspecs.protocols.commands import CommandContext, Console, Progress
from authhost_hookspecs.protocols.host import Host, Request, Settings, SocialLogin
from authhost_hookspecs.protocols.logins import Logins, PendingLogin
from authhost_hookspecs.protocols.socialaccounts import SocialAccount, SocialEmail, SocialToken

__all__ = [
    "Account",
    "AccountChanges",
    "Answer",
    "Authentication",
    "CommandContext",
    "Console",
    "EmailAddress",
    "EmailConfirmation",
    "Host",
    "Impersonation",
    "Logins",
    "MessageLevel",
    "PendingLogin",
    "Progress",
    "Request",
    "SameSite",
    "Session",
    "Settings",
    "SocialAccount",
    "SocialEmail",
    "SocialLogin",
    "SocialToken",
    "User",
]
