"""Figures for authhost: events by day, without personal data."""

from authhost_analytics.plugin import plugin

__all__ = ["plugin"]
