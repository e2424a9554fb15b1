"""A complete site from a temporary folder, which leaves nothing behind."""

from __future__ import annotations

import logging
import secrets
import signal
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from authhost_hookspecs import Console

from authhost.base_errors import ConfigurationError
from authhost.cli.serve.demo_pages import DemoPages, SilentContext
from authhost.cli.serve.servers import address_for_browsers, listen
from authhost.cli.tour.smtp_server import SMTPServer
from authhost.host import AuthHost
from authhost.settings import Settings
from authhost.testing.openid import LocalProvider
from authhost.web.wsgi import WSGIApp

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

NAME = "demo"
"""The name of the plugin with the demo's pages."""
REPORT = "/demo/analytics"
PROVIDER_NAME = "Local provider"


def run(console: Console, address: str, port: int) -> None:
    """Serve the demo until Ctrl-C. Raises `ConfigurationError` if a package that it needs is missing."""
    try:
        from waitress.server import create_server
    except ImportError as error:
        raise ConfigurationError("the demo needs waitress; run `pip install 'authhost[demo]'`") from error
    with ExitStack() as resources:
        listener = resources.enter_context(listen(address, port))
        folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="authhost-demo-")))
        mails = SMTPServer()
        resources.callback(mails.stop)
        provider = resources.enter_context(LocalProvider().start())
        base_url = address_for_browsers(address, listener.getsockname()[1])
        pages = DemoPages(lambda: list(mails.mails), folder, base_url + REPORT)
        settings = _settings(folder, base_url, mails.port, provider)
        host = pages.host = AuthHost(settings, plugins={NAME: pages}, upgrade_database=True)
        resources.callback(host.close)
        app = WSGIApp(host, _Site(host, folder))
        server = create_server(app, sockets=[listener], threads=4, ident=None)
        resources.callback(server.close)
        console.print(f"The demo is at {base_url}/")
        console.print("Ctrl-C ends it and removes everything.")
        _serve(server)


def _serve(server: Any) -> None:
    """Serve until Ctrl-C, or until a process manager ends it: then, too, nothing is left.

    A shell that starts it in the background ignores Ctrl-C for it, so that is undone.
    """
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # the demo has few threads
    with suppress(KeyboardInterrupt):
        server.run()


def _settings(folder: Path, base_url: str, smtp_port: int, provider: LocalProvider) -> Settings:
    providers = {name: {**values, "name": PROVIDER_NAME} for name, values in provider.settings.items()}
    return Settings(
        database_url=f"sqlite:///{folder / 'demo.sqlite3'}",
        secret_key=secrets.token_urlsafe(48),
        base_url=base_url,
        site_name="Demo",
        email_verification="mandatory",
        login_on_email_confirmation=True,
        providers=providers,
        plugin_settings={
            "email": {
                "transport": "smtp",
                "smtp_host": "127.0.0.1",
                "smtp_port": smtp_port,
                "from_address": "demo@example.org",
            }
        },
    )


class _Site:
    """The start page, and the report of the analytics, which is one HTML file."""

    def __init__(self, host: AuthHost, folder: Path) -> None:
        self._host, self._folder = host, folder
        self._start = f"{host.settings.web_prefix}/{NAME}/start"

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path in ("", "/"):
            start_response("303 See Other", [("Location", self._start)])
            return []
        if path == REPORT:
            return self._report(start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"There is no such page.\n"]

    def _report(self, start_response: StartResponse) -> Iterable[bytes]:
        commands = self._host.registry.commands()
        if "analytics" not in commands:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"The plugin analytics is not installed: pip install authhost-analytics\n"]
        file = self._folder / "report.html"
        arguments = ["html", "-o", str(file)]
        commands["analytics"].main(arguments, obj=SilentContext(self._host), standalone_mode=False)
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [file.read_bytes()]
