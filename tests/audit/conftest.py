"""Fixtures: a host with the plugin, and a sealed trail."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from conftest import PASSWORD

if find_spec("authhost_audit") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    from authhost_audit.plugin import AuditPlugin

    from audit.trail import ANN, BOB, SIGNING, seal_all


@pytest.fixture
def make(make_host):
    """Create hosts with the plugin; ``audit`` are the settings of the plugin."""

    def make(plugins=None, audit=None, **settings):
        given = {"signing_key": SIGNING, **(audit or {})}
        return make_host(
            {"audit": AuditPlugin(), **(plugins or {})}, plugin_settings={"audit": given}, **settings
        )

    return make


@pytest.fixture
def host(make):
    return make()


@pytest.fixture
def trail(host, run):
    """Two batches of sealed records, and some unsealed records."""
    run(host, "signup", email=ANN, password=PASSWORD)
    seal_all(host)
    for number in range(3):
        run(host, "signup", email=f"u{number}@example.org", password=PASSWORD)
    seal_all(host)
    run(host, "signup", email=BOB, password=PASSWORD)
    return host
