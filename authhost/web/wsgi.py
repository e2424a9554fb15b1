"""The web layer as a WSGI application, or in front of one (PEP 3333)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from werkzeug.datastructures import EnvironHeaders
from werkzeug.exceptions import ClientDisconnected
from werkzeug.sansio.utils import get_content_length
from werkzeug.wsgi import get_input_stream

from authhost.web.http import MAX_BODY, WebRequest, WebResponse
from authhost.web.mounted import PATH_KEY, STATE_KEY, Mounted, applied_headers
from authhost.web.probes import asks_for_life, live

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from authhost.web.mounted import Source

ENVIRON_KEY = "authhost.mounted"


class WSGIApp:
    """Serves the web layer; passes all other paths to ``app``, if there is one.

    ``source`` is a host, its settings, or the path of its configuration, as in `Mounted`. The routes
    of ``app`` find the web layer in the environment: see `authhost.web.flask`.
    """

    def __init__(self, source: Source | Mounted, app: WSGIApplication | None = None) -> None:
        self.mounted = source if isinstance(source, Mounted) else Mounted(source)
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = _decoded(environ.get("PATH_INFO", ""))
        if asks_for_life(self.mounted.settings, environ["REQUEST_METHOD"], path):
            return _send(live(), start_response)
        web = self.mounted.web
        if web.serves(path):
            body = _body(environ)
            if body is None:
                text = "The request ended before its body was complete.\n"
                return _send(WebResponse(text, 400, content_type="text/plain"), start_response)
            return _send(web.handle(request_of(environ, body=body)), start_response)
        if self._app is None:
            return _send(
                WebResponse("There is no such page.\n", 404, content_type="text/plain"), start_response
            )
        environ[ENVIRON_KEY] = self.mounted
        environ[STATE_KEY] = {PATH_KEY: path}

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Callable[[bytes], object]:
            headers = [*headers, *applied_headers(environ)]
            return start_response(status, headers, *error)

        return self._app(environ, cast("StartResponse", start))


def request_of(environ: WSGIEnvironment, *, body: bytes = b"", native: Any = None) -> WebRequest:
    """Return the request of a WSGI environment. Its path is that of the whole application."""
    return WebRequest(
        environ["REQUEST_METHOD"],
        environ.get(STATE_KEY, {}).get(PATH_KEY) or _decoded(environ.get("PATH_INFO", "")),
        headers=EnvironHeaders(environ),
        query_string=environ.get("QUERY_STRING", "").encode("latin-1"),
        body=body,
        scheme=environ.get("wsgi.url_scheme", "http"),
        remote_addr=environ.get("REMOTE_ADDR") or None,
        root_path=_decoded(environ.get("SCRIPT_NAME", "")),
        native=native,
    )


def _body(environ: WSGIEnvironment) -> bytes | None:
    """Return the body, and no more than one byte over the limit, so that the web layer refuses it.

    None if the client disconnects before its end: a part of a form is not what the person
    sent, and could store the beginning of a password.
    """
    stream, parts, missing = get_input_stream(environ), list[bytes](), MAX_BODY + 1
    try:
        while missing and (part := stream.read(missing)):
            parts.append(part)
            missing -= len(part)
    except ClientDisconnected:
        return None
    body = b"".join(parts)
    length = get_content_length(http_content_length=environ.get("CONTENT_LENGTH"))
    return body if not missing or length is None or len(body) >= length else None


def _decoded(text: str) -> str:
    return text.encode("latin-1").decode("utf-8", "replace")


def _send(response: WebResponse, start_response: StartResponse) -> Iterable[bytes]:
    length = len(response.body)
    start_response(response.status, response.header_list())
    return [response.body] if length else []
