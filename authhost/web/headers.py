"""Security headers of all responses (ASVS 5.0, 3.4)."""

from __future__ import annotations

from authhost.settings import Settings
from authhost.web.http import WebResponse, origin_of

HSTS_SECONDS = 365 * 86400


class SecurityHeaders:
    """Adds the headers to a response. Pages have no inline scripts and styles, so none are allowed."""

    def __init__(self, settings: Settings) -> None:
        logo = origin_of(settings.brand_logo) if settings.brand_logo.startswith("https://") else ""
        policy = {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": " ".join(filter(None, ("'self'", "data:", logo))),
            "connect-src": "'self'",
            "form-action": "'self'",
            "base-uri": "'none'",
            "object-src": "'none'",
            "frame-ancestors": "'none'",
        }
        self._headers = {
            "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        if settings.base_url.startswith("https://"):
            self._headers["Strict-Transport-Security"] = f"max-age={HSTS_SECONDS}; includeSubDomains"

    def add(self, response: WebResponse) -> None:
        """Add the headers. A response that says nothing about caching is not stored by any cache."""
        for name, value in self._headers.items():
            response.headers[name] = value
        response.headers.setdefault("Cache-Control", "no-store")
