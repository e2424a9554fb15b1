"""The error of a lookup."""

from __future__ import annotations


class LookupFailed(Exception):
    """The file or the server cannot be used. The text contains nothing of the password or its hash."""
