"""The provider of the testing kit."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from authhost.testing import LocalProvider


def test_the_port_is_its_own_before_it_starts():
    with LocalProvider() as provider:
        port = urlsplit(provider.url).port
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("127.0.0.1", port))
        provider.set_user("ann")
    socket.create_server(("127.0.0.1", port)).close()
    provider.start().stop()


def test_a_provider_that_was_never_used_frees_its_port():
    with LocalProvider() as provider:
        port = urlsplit(provider.url).port
    socket.create_server(("127.0.0.1", port)).close()
