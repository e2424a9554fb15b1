"""Sends users a mail about a login from a device that they have not used before."""

from authhost_new_device.plugin import plugin

__all__ = ["plugin"]
