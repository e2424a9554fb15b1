"""The endpoints of the core, by concern."""

from authhost.web.endpoints import account, emails, impersonation, password, sessions, social, state

__all__ = ["account", "emails", "impersonation", "password", "sessions", "social", "state"]
