"""Breached passwords for authhost: refuses new passwords that are known from data breaches."""

from authhost_breached_passwords.plugin import plugin

__all__ = ["plugin"]
