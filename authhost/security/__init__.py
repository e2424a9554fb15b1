"""Passwords, encryption, keys, identifiers, rate limits, and the checks of what people type."""
