"""E-mail for authhost: confirmations, resets and security notices from an outbox."""

from authhost_email.plugin import plugin

__all__ = ["plugin"]
