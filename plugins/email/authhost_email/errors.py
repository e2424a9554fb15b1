"""What can go wrong on the way out."""

from __future__ import annotations


class Permanent(Exception):
    """Raised by a transport: the message will never be taken: trying again is of no use."""


class NoSuchTransport(ValueError):
    """The settings name a transport that nobody brings."""
