"""Lets a company manage the accounts of its domains."""

from authhost_managed_accounts.plugin import plugin

__all__ = ["plugin"]
