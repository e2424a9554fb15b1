"""Tells people by mail of a login from a device that is new for them."""

from authhost_new_device.plugin import plugin

__all__ = ["plugin"]
