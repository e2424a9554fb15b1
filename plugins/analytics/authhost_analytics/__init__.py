"""Statistics for authhost: events, unique users and funnels, without personal data."""

from authhost_analytics.plugin import plugin

__all__ = ["plugin"]
