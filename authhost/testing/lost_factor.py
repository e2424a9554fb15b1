"""A plugin that has one factor of every account, so that the flows of the scenario remove something."""

from __future__ import annotations

from authhost_hookspecs import hookimpl

LOST_FACTOR = "authhost-lost-factor"
"""The name under which the kit adds it to its hosts."""


class LostFactor:
    """Stores nothing: it says that it has removed one factor."""

    @hookimpl
    def remove_factors(self) -> int:
        """Called by the host."""
        return 1
