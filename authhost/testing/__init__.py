"""The testing kit for plugin authors: hosts, a browser, a mailbox, an OpenID provider, the conformance suite.

pytest finds the kit's fixtures by itself (`authhost.testing.pytest_plugin`).
"""

from authhost.testing.authenticator import VirtualAuthenticator
from authhost.testing.browser import Browser
from authhost.testing.commands import CommandContext
from authhost.testing.host import CHEAP_HASH, OTHER_PASSWORD, PASSWORD, Clock, drain, open_host
from authhost.testing.mailbox import Mailbox
from authhost.testing.openid import LocalProvider
from authhost.testing.recorder import RecordedHook, RecordedHooks
from authhost.testing.totp import TotpApp

__all__ = [
    "CHEAP_HASH",
    "OTHER_PASSWORD",
    "PASSWORD",
    "Browser",
    "Clock",
    "CommandContext",
    "LocalProvider",
    "Mailbox",
    "RecordedHook",
    "RecordedHooks",
    "TotpApp",
    "VirtualAuthenticator",
    "drain",
    "open_host",
]
