"""New terms: a step of every login, until they are accepted."""

from authhost_terms.plugin import plugin

__all__ = ["plugin"]
