"""What a transport may raise."""

from __future__ import annotations


class Permanent(Exception):
    """The message will never be taken: trying again is of no use."""
