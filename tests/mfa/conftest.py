"""Fixtures: a site with the plugin, a user, and the user's authenticator app."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest

from authhost.testing import Clock
from authhost.testing.authenticator import VirtualAuthenticator

if find_spec("authhost_mfa") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    from authhost_mfa.plugin import MfaPlugin

    from mfa.support import Site


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_site(make_host: Callable[..., Any], recorder: Any) -> Callable[..., Any]:
    """Open sites: ``make_site(policy="required")``. ``plugins`` and ``settings`` are those of the host."""

    def make(
        *,
        plugins: dict[str, object] | None = None,
        settings: dict[str, Any] | None = None,
        email: dict[str, Any] | None = None,
        **mfa: Any,
    ) -> Site:
        host = make_host(
            {"mfa": MfaPlugin(), **(plugins or {})},
            plugin_settings={"mfa": mfa, **({"email": email} if email is not None else {})},
            **{"base_url": "https://example.org", **(settings or {})},
        )
        return Site(host, recorder)

    return make


@pytest.fixture
def site(make_site: Callable[..., Any]) -> Any:
    return make_site()


@pytest.fixture
def phone() -> Any:
    """A passkey provider that verifies its user."""
    return VirtualAuthenticator(counts=False, backup_eligible=True, backed_up=True)


@pytest.fixture
def stick() -> Any:
    """A security key that neither verifies its user nor stores the account."""
    return VirtualAuthenticator(user_verification=False, resident_keys=False, transports=("usb",))


@pytest.fixture
def badge() -> Any:
    """A security key that stores the account, but does not verify its user."""
    return VirtualAuthenticator(user_verification=False, transports=("nfc", "usb"))


@pytest.fixture
def protected(site: Any) -> Any:
    """A site whose user ann has an authenticator app."""
    site.sign_up()
    site.enrol()
    return site
