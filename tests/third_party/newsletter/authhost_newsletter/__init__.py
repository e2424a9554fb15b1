"""Newsletter preferences: a page, JSON endpoints, and a section of the account page."""

from authhost_newsletter.plugin import plugin

__all__ = ["plugin"]
