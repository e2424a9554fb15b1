"""Protection against requests that another site makes a browser send (CSRF), by headers that browsers set.

Every request with an unsafe method is checked before it is routed. There is no
exception for a route, a plugin or a login: a forged login would log a person in to
the attacker's account. See the OWASP cheat sheet "Cross-Site Request Forgery Prevention"
(Fetch Metadata with a fallback to ``Origin``), and ASVS 5.0, 3.5.1 to 3.5.3.
"""

from __future__ import annotations

import logging

from authhost.settings import Settings
from authhost.web.http import SAFE_METHODS, WebRequest, origin_of

log = logging.getLogger("authhost.web")


class OriginCheck:
    """Decides whether a request may change something."""

    def __init__(self, settings: Settings) -> None:
        self.own = origin_of(settings.base_url)
        self.trusted = frozenset(origin_of(each) for each in settings.trusted_origins)

    def allows(self, http: WebRequest, *, has_cookie: bool) -> bool:
        """Return whether the request may be processed: it has a safe method, or `is_own`."""
        return http.method in SAFE_METHODS or self.is_own(http, has_cookie=has_cookie)

    def is_own(self, http: WebRequest, *, has_cookie: bool) -> bool:
        """Return whether the request is this site's own. A refusal is logged with the two headers.

        ``Sec-Fetch-Site: same-origin`` or ``none`` (typed address) passes. Otherwise ``Origin`` must be
        that of ``base_url``, or in ``trusted_origins``. A request with neither header
        passes if it has none of authhost's cookies (``has_cookie``): it is a program's.
        """
        site, origin = http.headers.get("Sec-Fetch-Site"), http.headers.get("Origin")
        if site is None and origin is None:
            allowed = not has_cookie
        else:
            allowed = site in ("same-origin", "none") or self.is_trusted(origin)
        if not allowed:
            log.warning(
                "refused a %s request of another site: Sec-Fetch-Site is %.40r, Origin is %.200r; "
                "pages of other origins need trusted_origins",
                http.method,
                site,
                origin,
            )
        return allowed

    def is_trusted(self, origin: str | None) -> bool:
        """Return whether an ``Origin`` header names this site or one of ``trusted_origins``."""
        if origin is None or origin == "null":
            return False
        try:
            return origin_of(origin) in {self.own, *self.trusted}
        except ValueError:  # such as "http://["
            return False
