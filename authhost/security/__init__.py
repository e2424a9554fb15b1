"""Passwords, encryption, keys, identifiers, rate limits, and the validation of input."""
