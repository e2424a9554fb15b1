"""The endpoint for Prometheus. There is none without the setting ``metrics_token``."""

from __future__ import annotations

import hmac

from authhost.host import AuthHost
from authhost.operations.optional_prometheus import prometheus_text
from authhost.web.http import WebRequest, WebResponse

PATH = "/metrics"
"""The path below ``web_prefix``."""


class MetricsEndpoint:
    """Answers with the numbers of this process; raises `ConfigurationError` without ``authhost[metrics]``."""

    def __init__(self, host: AuthHost) -> None:
        self._host = host
        self._token = host.settings.metrics_token.encode()
        self._format = prometheus_text()

    def response(self, http: WebRequest) -> WebResponse:
        """Return the metrics to a client that sends the token (RFC 6750, 2.1), else 401."""
        scheme, _, token = http.headers.get("Authorization", "").partition(" ")
        is_right = hmac.compare_digest(token.strip().encode("utf-8", "replace"), self._token)
        if scheme.lower() != "bearer" or not is_right:
            response = WebResponse("Unauthorized\n", 401, content_type="text/plain; charset=utf-8")
            response.headers["WWW-Authenticate"] = "Bearer"
            return response
        return WebResponse(self._format.exposition(self._host), content_type=self._format.CONTENT_TYPE)
