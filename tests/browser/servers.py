"""The site of the browser tests, and the servers of other sites."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import fastapi
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from authhost.testing import Clock, open_host
from authhost.testing.openid import LocalProvider
from authhost.web.fastapi import RequiredUser, mount

NO_HEADERS: Mapping[str, str] = {}
NO_SETTINGS: Mapping[str, Mapping[str, Any]] = {}


class Certificate(NamedTuple):
    """The paths of a certificate and of its key."""

    file: Path
    key: Path


class Site(NamedTuple):
    """A served application, with its clock, its mails and its provider."""

    url: str
    host: Any
    clock: Clock
    mails: Any
    provider: LocalProvider

    def link(self, to: str, page: str) -> str:
        """Wait for the mail to ``to``; return its link."""
        return f"{self.url}/account/{page}/{self.mails.key(to, page)}"


@contextmanager
def open_site(
    folder: Path,
    name: str = "127.0.0.1",
    *,
    certificate: Certificate | None = None,
    plugins: Mapping[str, object] | None = None,
    installed: tuple[str, ...] = (),
    plugin_settings: Mapping[str, Mapping[str, Any]] = NO_SETTINGS,
    **settings: Any,
) -> Iterator[Site]:
    """Serve an application on loopback as the host ``name``; by HTTPS if there is a certificate.

    ``installed`` are the names of installed plugins, beside email; ``plugin_settings`` are theirs.
    """
    from authhost.cli.tour.smtp_server import SMTPServer

    mails, clock = SMTPServer(), Clock()
    with socket.create_server(("127.0.0.1", 0)) as listener, LocalProvider().start() as provider:
        scheme = "https" if certificate else "http"
        url = f"{scheme}://{name}:{listener.getsockname()[1]}"
        providers = {each: {**values, "name": "Example Corp"} for each, values in provider.settings.items()}
        smtp = {"transport": "smtp", "smtp_host": "127.0.0.1", "smtp_port": mails.port, "delivery": "inline"}
        host = open_host(
            f"sqlite:///{folder / 'site.sqlite3'}",
            plugins or {},
            clock=clock,
            discover=True,
            plugins=("email", *installed, *(plugins or ())),
            base_url=url,
            site_name="Teapots",
            providers=providers,
            plugin_settings={"email": smtp, **plugin_settings},
            **{"email_verification": "mandatory", "login_on_email_confirmation": True, **settings},
        )
        app = fastapi.FastAPI()
        mount(app, host)

        @app.get("/me")
        def me(user: RequiredUser) -> dict[str, str | None]:
            return {"email": user.email}

        tls: dict[str, Any] = (
            {"ssl_certfile": certificate.file, "ssl_keyfile": certificate.key} if certificate else {}
        )
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", **tls))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        provider.set_user("bob", email="bob@example.org", email_verified=True, name="Bob Barker")
        provider.set_user("nameless")
        yield Site(url, host, clock, mails, provider)
        server.should_exit = True
        thread.join(timeout=10)
        host.close()
        mails.stop()


@contextmanager
def open_other_site(
    html: str, *, certificate: Certificate | None = None, headers: Mapping[str, str] = NO_HEADERS
) -> Iterator[int]:
    """Serve one page on loopback; yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in {"Content-Type": "text/html", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *args: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.file, certificate.key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def make_certificate(folder: Path, *names: str) -> Certificate:
    """Write a certificate for the host ``names``, which the key itself has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    made = Certificate(folder / "site.crt", folder / "site.key")
    pem = serialization.Encoding.PEM
    made.file.write_bytes(certificate.public_bytes(pem))
    plain, form = serialization.NoEncryption(), serialization.PrivateFormat.PKCS8
    made.key.write_bytes(key.private_bytes(pem, form, plain))
    return made
