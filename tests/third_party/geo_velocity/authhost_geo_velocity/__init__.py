"""Stops a social login from further away than anybody can have travelled since the last."""

from authhost_geo_velocity.plugin import plugin

__all__ = ["plugin"]
