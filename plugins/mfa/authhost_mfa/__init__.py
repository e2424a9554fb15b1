"""Second factors for authhost: one-time codes, recovery codes, security keys, passkeys, trusted browsers."""

from authhost_mfa.plugin import plugin

__all__ = ["plugin"]
