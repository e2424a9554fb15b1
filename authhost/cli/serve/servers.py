"""Runs the site with an installed server."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from authhost_hookspecs import Console
from werkzeug.urls import iri_to_uri

from authhost.base_errors import ConfigurationError
from authhost.cli.serve import SERVERS
from authhost.host import AuthHost
from authhost.settings import Settings
from authhost.web.asgi import ASGIApp
from authhost.web.http import origin_of
from authhost.web.wsgi import WSGIApp

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

THREADS = 8
LOOPBACK = ("localhost", "127.0.0.1", "::1")
NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""Errors of an address that this machine does not have."""
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104  # compared, not listened on


LogConfig: TypeAlias = dict[str, Any] | None
"""The configuration of logging for `logging.config.dictConfig`, or None for that of the server."""


def run(
    console: Console,
    settings: Settings,
    address: str,
    port: int,
    server: str | None,
    log_config: LogConfig = None,
) -> None:
    """Serve until Ctrl-C. Raises `ConfigurationError` if no server is installed, or a setting is wrong."""
    name = server or next((each for each in SERVERS if find_spec(each) is not None), "")
    if not name or find_spec(name) is None:
        missing = name or "a server"
        raise ConfigurationError(f"{missing} is not installed; run `pip install {name or 'waitress'}`")
    # These name what is wrong before the server starts.
    AuthHost(settings, background=False).close()
    listen(address, port).close()
    url = address_for_browsers(address, port)
    console.print(f"{settings.site_name}: {url}{settings.web_prefix}/  (Ctrl-C ends it)")
    if settings.base_url.startswith("https://"):
        console.error(
            f"base_url is {settings.base_url}: open the site there, through a proxy with TLS; "
            "without TLS, browsers do not keep its cookies"
        )
    elif _leads_elsewhere(settings.base_url, url):
        console.error(
            f"base_url is {settings.base_url}: links in e-mails and answers of providers lead there; "
            f"set it to {url}"
        )
    RUN[name](settings, address, port, log_config)


def address_for_browsers(address: str, port: int) -> str:
    """Return the URL of a server, by name where it is this machine: passkeys do not work with an IP address.

    Web Authentication needs a domain (Level 3, 5.1.3), and ``localhost`` needs no TLS.
    """
    if address in (*LOOPBACK, *ANY_ADDRESS):
        return f"http://localhost:{port}"
    return f"http://{joined(address, port)}"


def listen(address: str, port: int) -> socket.socket:
    """Return a socket that listens there. Raises `ConfigurationError` if that is not possible."""
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family = min(each[0] for each in found)  # IPv4, if a name has both
        return socket.create_server((address, port), family=family)
    except UnicodeError:
        reason, remedy = "no host has such a name", "--host"
    except socket.gaierror as error:
        reason, remedy = f"{error.strerror}", "--host"
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        remedy = "--host" if error.errno in NOT_HERE else "--port, or 0 for any"
    raise ConfigurationError(f"{joined(address, port)} cannot be used: {reason}; choose another {remedy}")


def joined(address: str, port: int) -> str:
    """Return both as one text, as in a URL (RFC 3986, 3.2.2): an IPv6 address has brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _leads_elsewhere(base_url: str, url: str) -> bool:
    """Tell whether ``base_url`` is on this machine, but at another port or name than ``url``."""
    return urlsplit(base_url).hostname in LOOPBACK and origin_of(base_url) != origin_of(url)


def start_page(settings: Settings) -> str:
    """Return the path to which the address of the site leads, as a URI."""
    return iri_to_uri(settings.after_login or settings.web_prefix + "/")


def home(settings: Settings) -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
    """Return a WSGI application that leads from the start page to the account page."""
    target = start_page(settings)

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO", "") not in ("", "/") or target == "/":
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"There is no such page.\n"]
        start_response("303 See Other", [("Location", target)])
        return []

    return application


def _run_waitress(settings: Settings, address: str, port: int, log_config: LogConfig) -> None:
    from waitress import serve

    app = WSGIApp(settings, home(settings))
    try:
        serve(app, host=address, port=port, threads=THREADS)
    finally:
        app.mounted.close()


def _run_gunicorn(settings: Settings, address: str, port: int, log_config: LogConfig) -> None:
    from gunicorn.app.base import BaseApplication

    class Site(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
        def load_config(self) -> None:
            values: dict[str, Any] = {
                "bind": joined(address, port),
                "workers": max(1, os.cpu_count() or 1),
                "threads": THREADS,
                "logconfig_dict": log_config or {},
            }
            for name, value in values.items():
                self.cfg.set(name, value)

        def load(self) -> WSGIApp:
            return WSGIApp(settings, home(settings))

    Site().run()


def _run_uvicorn(settings: Settings, address: str, port: int, log_config: LogConfig) -> None:
    import uvicorn

    app = ASGIApp(settings, asgi_home(settings))
    config = log_config or uvicorn.config.LOGGING_CONFIG
    uvicorn.run(app, host=address, port=port, log_level="warning", log_config=config)


def asgi_home(settings: Settings) -> Callable[..., Any]:
    """Return the ASGI application that corresponds to `home`."""
    target = start_page(settings)

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                kind = message["type"].removeprefix("lifespan.")
                await send({"type": f"lifespan.{kind}.complete"})
                if kind == "shutdown":
                    return
        found = scope["path"] in ("", "/") and target != "/"
        headers = [(b"location", target.encode())] if found else [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 303 if found else 404, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if found else b"There is no such page.\n"})

    return application


RUN: dict[str, Callable[[Settings, str, int, LogConfig], None]] = {
    "waitress": _run_waitress,
    "gunicorn": _run_gunicorn,
    "uvicorn": _run_uvicorn,
}
