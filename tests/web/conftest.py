"""A web layer on a fresh database, and a client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from authhost import AuthHost
from authhost.testing import Clock, Mailbox, open_host

pytest.importorskip("werkzeug", reason="SKIPPED: the web layer needs `pip install authhost[web]`")

from authhost.web import Web

BASE_URL = "https://example.org"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def open_site(tmp_path, clock: Clock, mailbox: Mailbox) -> Iterator[Callable[..., Web]]:
    """Open a web layer: ``open_site(plugins={…}, email_verification=…)``."""
    hosts: list[AuthHost] = []

    def opened(plugins: dict[str, object] | None = None, **settings: Any) -> Web:
        url = f"sqlite:///{tmp_path / f'site{len(hosts)}.sqlite3'}"
        values = {"base_url": BASE_URL, **settings}
        host = open_host(url, {"mailbox": mailbox, **(plugins or {})}, clock=clock, **values)
        hosts.append(host)
        return Web(host)

    yield opened
    for host in hosts:
        host.close()


@pytest.fixture
def web(open_site: Callable[..., Web]) -> Web:
    return open_site()


@pytest.fixture
def client(web: Web) -> Any:
    from authhost.testing.web_client import WebClient

    return WebClient(web)
