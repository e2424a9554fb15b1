"""A PIN: a step of every login to an account that has one, with a limit of wrong answers."""

from authhost_pin.plugin import plugin

__all__ = ["plugin"]
