"""A local web server that shows every message in every language."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from authhost_email.failures import describe_compose_failure
from authhost_email.languages import LANGUAGES
from authhost_email.rendering import KINDS, Context, RenderedMessage, render, sender
from authhost_email.samples import RECIPIENT, sample
from authhost_email.settings import EmailSettings

STYLE = (
    "body{font:16px/1.6 system-ui,sans-serif;margin:24px;overflow-wrap:anywhere}"
    "td,th{padding:4px 12px 4px 0;text-align:left;vertical-align:top;font-weight:normal}"
    "nav a{display:inline-block;padding:4px 8px}a[aria-current]{font-weight:bold}"
    "iframe{width:100%;height:70vh;border:1px solid}pre{white-space:pre-wrap;border:1px solid;padding:12px}"
)
FAVICON = (
    "<link rel=icon href=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'"
    "%3E%3Cpath fill='%231d4ed8' d='M0 3h16v10H0z'/%3E%3Cpath fill='none' stroke='%23fff' d='M0 3l8 6 8-6'/"
    '%3E%3C/svg%3E">'
)
Answer = tuple[int, str, str]
ContextFor = Callable[[str], Context]


def page(settings: EmailSettings, path: str, context_for: ContextFor = sample) -> Answer:
    """Return status, content type and body of a page of the preview.

    ``context_for`` returns the sample data of a kind of message.
    """
    parts = urlsplit(path)
    wanted = {name: values[0] for name, values in parse_qs(parts.query).items()}
    kind, language = wanted.get("kind", ""), wanted.get("language", "en")
    if language not in LANGUAGES or (parts.path != "/" and kind not in KINDS):
        return 404, "text/plain", "there is no message of this kind in this language\n"
    if parts.path == "/":
        return 200, "text/html", _index(settings, language, context_for)
    try:
        rendered = render(settings, kind, RECIPIENT, language, context_for(kind))
    except Exception as error:  # a template may raise any error
        return 500, "text/plain", f"{describe_compose_failure(kind, language, error)}\n"
    if parts.path == "/text":
        return 200, "text/plain", f"{rendered.subject}\n\n{rendered.text}"
    if parts.path == "/html":
        return 200, "text/html", rendered.html or ""
    if parts.path == "/message":
        return 200, "text/html", _message(settings, kind, language, rendered)
    return 404, "text/plain", "there is no page of this name\n"


def server(settings: EmailSettings, port: int, context_for: ContextFor = sample) -> ThreadingHTTPServer:
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


def _index(settings: EmailSettings, language: str, context_for: ContextFor) -> str:
    rows = "".join(
        f"<tr><th scope=row><a href='/message?kind={kind}&amp;language={language}'>{kind}</a></th>"
        f"<td lang={language} dir=auto>{escape(_subject(settings, kind, language, context_for))}</td></tr>"
        for kind in KINDS
    )
    head = f"<p>From: {escape(str(sender(settings)))}</p>"
    return _document(
        "Messages", f"{head}{_languages('/?', language)}<table>{rows}</table>", heading="Messages"
    )


def _subject(settings: EmailSettings, kind: str, language: str, context_for: ContextFor) -> str:
    try:
        return render(settings, kind, RECIPIENT, language, context_for(kind)).subject
    except Exception as error:  # a template may raise any error
        return describe_compose_failure(kind, language, error)


def _message(settings: EmailSettings, kind: str, language: str, rendered: RenderedMessage) -> str:
    query = f"kind={kind}&amp;language={language}"
    headers = "".join(
        f"<tr><th scope=row>{name}</th><td dir=auto>{escape(value)}</td></tr>"
        for name, value in (
            ("From", str(sender(settings))),
            ("To", RECIPIENT),
            ("Subject", rendered.subject),
        )
    )
    body = (
        f"<p><a href='/?language={language}'>All messages</a></p>"
        f"{_languages(f'/message?kind={kind}&amp;', language)}<table>{headers}</table>"
        f"<h2><a href='/html?{query}'>HTML</a></h2><iframe title=HTML src='/html?{query}'></iframe>"
        f"<h2><a href='/text?{query}'>Text</a></h2>"
        f"<pre lang={language} dir=auto>{escape(rendered.text)}</pre>"
    )
    return _document(f"{kind} ({language})", body, heading=kind)


def _languages(link: str, current: str) -> str:
    """Return links to the same page in each language. ``link`` is the URL up to its last parameter."""
    links = "".join(
        f"<a href='{link}language={each}'{' aria-current=page' if each == current else ''}>{each}</a>"
        for each in LANGUAGES
    )
    return f"<nav aria-label=Languages>{links}</nav>"


def _document(title: str, body: str, *, heading: str) -> str:
    return (
        "<!DOCTYPE html><html lang=en><meta charset=utf-8><meta name=color-scheme content='light dark'>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title>{FAVICON}<style>{STYLE}</style>"
        f"<h1>{escape(heading)}</h1>{body}</html>"
    )
