"""The error of a lookup."""

from __future__ import annotations


class LookupFailed(Exception):
    """The file or the server gave no answer. The text contains nothing of the password or its hash."""
