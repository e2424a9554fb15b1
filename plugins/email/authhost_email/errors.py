"""What can go wrong on the way out."""

from __future__ import annotations


class Permanent(Exception):
    """Raised by a transport: the message will never be taken: trying again is of no use."""


class NoAddress(ValueError):
    """A text is no e-mail address; the message names it."""


class NoSuchTransport(ValueError):
    """The settings name a transport that nobody brings."""
