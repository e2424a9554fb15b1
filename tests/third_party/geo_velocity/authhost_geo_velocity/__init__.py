"""Stops a social login from a place that cannot be reached in the time since the last login."""

from authhost_geo_velocity.plugin import plugin

__all__ = ["plugin"]
