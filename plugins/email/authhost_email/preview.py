"""A local web server that shows every message in every language."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from authhost_email.languages import LANGUAGES
from authhost_email.rendering import KINDS, Context, render
from authhost_email.samples import RECIPIENT, sample
from authhost_email.settings import EmailSettings


def page(
    settings: EmailSettings, path: str, context_for: Callable[[str], Context] = sample
) -> tuple[int, str, str]:
    """Return status, content type and body of a page of the preview.

    ``context_for`` returns the sample data of a kind of message.
    """
    parts = urlsplit(path)
    wanted = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if parts.path == "/":
        return 200, "text/html", _index()
    kind, language = wanted.get("kind", ""), wanted.get("language", "en")
    if kind not in KINDS or language not in LANGUAGES:
        return 404, "text/plain", "there is no message of this kind in this language\n"
    rendered = render(settings, kind, RECIPIENT, language, context_for(kind))
    if parts.path == "/text":
        return 200, "text/plain", f"{rendered.subject}\n\n{rendered.text}"
    return 200, "text/html", rendered.html or ""


def server(
    settings: EmailSettings, port: int, context_for: Callable[[str], Context] = sample
) -> ThreadingHTTPServer:
    """Return a server that listens on this machine only."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = page(settings, self.path, context_for)
            content = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            """Print no log line for a request."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def _index() -> str:
    rows = "".join(
        f"<tr><th scope=row>{escape(kind)}</th>"
        + "".join(
            f"<td><a href='/html?kind={kind}&amp;language={each}'>{each}</a> "
            f"<a href='/text?kind={kind}&amp;language={each}'>text</a></td>"
            for each in LANGUAGES
        )
        + "</tr>"
        for kind in KINDS
    )
    return (
        "<!DOCTYPE html><html lang=en><meta charset=utf-8><meta name=color-scheme content='light dark'>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        "<title>Messages</title><style>body{font:16px/1.6 system-ui;margin:24px}td,th{padding:4px 12px;"
        f"text-align:left}}</style><h1>Messages</h1><table>{rows}</table></html>"
    )
