"""Errors of delivery."""

from __future__ import annotations


class Permanent(Exception):
    """Raised by a transport if the message can never be delivered. It is not tried again."""


class InvalidAddress(ValueError):
    """A text is not a valid e-mail address. The error message contains the text."""


class UnknownTransport(ValueError):
    """The settings name a transport that does not exist or cannot be created."""


class NotAccepted(Exception):
    """A message with sample data was not accepted. The text says why, in one line without secrets."""


# Old names, which are removed in version 0.3.
NoAddress = InvalidAddress
NoSuchTransport = UnknownTransport
