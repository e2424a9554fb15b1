"""Fixtures: a host with the plugin, a fake transport, and a certificate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if find_spec("authhost_email") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    from authhost_email import transports
    from authhost_email.plugin import EmailPlugin

    from email_plugin.helpers import Fake


@pytest.fixture
def make(make_host, tmp_path):
    """Create hosts with the plugin, manual delivery and the transport `file`."""

    def make(email=None, **settings):
        given = {"delivery": "manual", "directory": str(tmp_path / "mail"), **(email or {})}
        # Plugins are called by name, so this one receives the messages before the recorder.
        return make_host({"email": EmailPlugin()}, plugin_settings={"email": given}, **settings)

    return make


@pytest.fixture
def host(make):
    return make()


@pytest.fixture
def fake(monkeypatch):
    Fake.script, Fake.sent = {}, []
    monkeypatch.setitem(transports.BUILT_IN, "fake", Fake)
    return Fake


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1. Tests can declare it trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .issuer_name(name)
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(here, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(private + signed.public_bytes(pem))
    return file
