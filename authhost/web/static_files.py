"""The style sheets and scripts of the pages."""

from __future__ import annotations

import hashlib
import mimetypes
from importlib.resources import files

from authhost.web.http import WebResponse

CACHE_SECONDS = 365 * 86400
BRAND = "brand.css"


class StaticFiles:
    """Static files by name, with addresses that change with their contents, so that browsers keep them."""

    def __init__(self, prefix: str, brand_color: str) -> None:
        self._prefix = f"{prefix}/static/"
        self._files = {
            each.name: each.read_bytes()
            for each in (files("authhost.web") / "static").iterdir()
            if each.is_file()
        }
        self._files[BRAND] = brand_css(brand_color).encode()

    def url(self, name: str) -> str:
        """Return the path of a file; raises ``KeyError``."""
        return f"{self._prefix}{name}?{self._version(name)}"

    def _version(self, name: str) -> str:
        return hashlib.sha256(self._files[name]).hexdigest()[:12]

    def response(self, name: str, *, query: bytes) -> WebResponse | None:
        """Return a file, or None. With the version of its `url`, browsers may keep it for a year.

        The query must be the version of this file: during an upgrade an old process is
        asked for the new version, and caches must not keep its old file under that URL.
        """
        content = self._files.get(name)
        if content is None:
            return None
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        response = WebResponse(content, content_type=f"{kind}; charset=utf-8")
        if query.decode("latin-1") == self._version(name):
            response.headers["Cache-Control"] = f"public, max-age={CACHE_SECONDS}, immutable"
        return response


def brand_css(color: str) -> str:
    """Return the style of the site's colour ``#rrggbb``. The text on it is black or white.

    The contrast is at least 4.5 to 1 (WCAG 2.2, 1.4.3 and "relative luminance").
    """
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels
    )
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    text = "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#ffffff"
    return f":root {{ --brand: {color}; --on-brand: {text}; }}\n"
