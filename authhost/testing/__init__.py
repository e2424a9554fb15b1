"""The kit for authors of plugins: a host, a browser, a mailbox, a provider, and the conformance suite.

``pytest`` finds its fixtures by itself (`authhost.testing.plugin`).
"""

from authhost.testing.browser import Browser
from authhost.testing.openid import LocalProvider
from authhost.testing.recording import Mailbox, RecordedHook, RecordedHooks
from authhost.testing.stage import CHEAP_HASH, OTHER_PASSWORD, PASSWORD, Clock, open_host

__all__ = [
    "CHEAP_HASH",
    "OTHER_PASSWORD",
    "PASSWORD",
    "Browser",
    "Clock",
    "LocalProvider",
    "Mailbox",
    "RecordedHook",
    "RecordedHooks",
    "open_host",
]
