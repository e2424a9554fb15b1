"""The pytest plugin with the fixtures for the tests of a plugin.

A test module names the plugins to test and the settings of the host:

    @pytest.fixture
    def authhost_plugins():
        return {"doorbell": plugin}

    @pytest.fixture
    def authhost_settings():
        return {"plugin_settings": {"doorbell": {"loud": True}}}

``pytest --authhost-conformance NAME`` also runs the conformance suite on an
installed plugin.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from authhost.host import AuthHost
    from authhost.request import Request
    from authhost.testing.authenticator import VirtualAuthenticator
    from authhost.testing.browser import Browser
    from authhost.testing.host import Clock
    from authhost.testing.mailbox import Mailbox
    from authhost.testing.openid import LocalProvider
    from authhost.testing.recorder import RecordedHooks
    from authhost.testing.totp import TotpApp
    from authhost.testing.web_client import WebClient

# pytest imports this module in every project where authhost is installed, so it imports little itself.

SUITE = Path(__file__).parent / "conformance" / "suite.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Called by pytest."""
    group = parser.getgroup("authhost", "plugins for authhost")
    group.addoption(
        "--authhost-conformance",
        action="append",
        default=[],
        metavar="NAME",
        help="Run the conformance suite on an installed plugin. May be given several times.",
    )
    group.addoption(
        "--authhost-set",
        action="append",
        default=[],
        metavar="NAME.KEY=VALUE",
        help="Set a plugin setting for the conformance suite. May be given several times.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Called by pytest: adds the conformance suite to the files to collect."""
    # The local provider's libraries cause this warning. A plugin's author cannot fix it.
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning:authlib")
    if config.getoption("--authhost-conformance"):
        config.args.append(str(SUITE))


@pytest.fixture
def authhost_plugins() -> dict[str, object]:
    """The plugin objects of `auth_host` by name. Empty by default; override it."""
    return {}


@pytest.fixture
def authhost_settings() -> dict[str, Any]:
    """The settings of `auth_host`. Empty by default; override it."""
    return {}


@pytest.fixture
def auth_clock() -> Clock:
    """The clock of `auth_host`: ``auth_clock.forward(minutes=5)``."""
    from authhost.testing.host import Clock

    return Clock()


@pytest.fixture
def recorded_hooks() -> RecordedHooks:
    """Each notification that `auth_host` called, with its arguments."""
    from authhost.testing.recorder import RecordedHooks

    return RecordedHooks()


@pytest.fixture
def mailbox() -> Mailbox:
    """The messages of `auth_host`, with their keys."""
    from authhost.testing.mailbox import Mailbox

    return Mailbox()


@pytest.fixture(scope="session")
def openid_provider() -> Iterator[LocalProvider]:
    """A local OpenID provider with the id ``corp`` in `auth_host`. It starts on its first use.

    It uses the clock of the machine. If a test moves `auth_clock` far, the host refuses its tokens.
    """
    from authhost.testing.openid import LocalProvider

    with LocalProvider() as provider:
        yield provider


@pytest.fixture
def auth_host(
    authhost_plugins: dict[str, object],
    authhost_settings: dict[str, Any],
    auth_clock: Clock,
    recorded_hooks: RecordedHooks,
    mailbox: Mailbox,
    openid_provider: LocalProvider,
    tmp_path: Path,
) -> Iterator[AuthHost]:
    """A host with `authhost_plugins` on a new SQLite file.

    If AUTHHOST_TEST_DATABASE_URL names a database of a server, it is used instead, and all
    that it contains is DELETED: its tables are dropped, but those that the same migrations
    have made for the test before are kept without their rows.
    """
    from authhost.testing.database import own_database
    from authhost.testing.host import open_host

    server = os.environ.get("AUTHHOST_TEST_DATABASE_URL")
    url = own_database(server) if server else f"sqlite:///{tmp_path / 'auth_host.sqlite3'}"
    plugins = {"authhost-mailbox": mailbox, "authhost-recorder": recorded_hooks, **authhost_plugins}
    settings = {"providers": openid_provider.settings, **authhost_settings}
    with open_host(url, plugins, clock=auth_clock, empty=bool(server), **settings) as host:
        refused = [each for each in host.registry.records if each.status != "loaded"]
        assert not refused, "; ".join(f"{each.name}: {each.reason}" for each in refused)
        for record in host.registry.loaded():
            if record.guarded is not None:
                record.guarded.on_failure = _print_error
        yield host


def _print_error(hook: str, error: BaseException) -> None:
    """Print the traceback, which the log of a host leaves out. pytest shows it with a test that fails."""
    print(f"a plugin failed in {hook}:", file=sys.stderr)
    traceback.print_exception(error)


@pytest.fixture
def auth_request(auth_host: AuthHost) -> Iterator[Request]:
    """An open unit of work without a session. It is committed when the test ends."""
    from authhost.testing.host import drain

    with auth_host.request(ip_address="127.0.0.1", user_agent="authhost.testing") as request:
        yield request
    drain(auth_host)


@pytest.fixture
def web_client(auth_host: AuthHost) -> WebClient:
    """A browser on the pages and the JSON API of `auth_host`: ``web_client.get("/login")``.

    It needs ``authhost[web]``.
    """
    pytest.importorskip("werkzeug", reason="SKIPPED: run `pip install 'authhost[web]'`")
    from authhost.testing.web_client import WebClient
    from authhost.web import Web

    return WebClient(Web(auth_host))


@pytest.fixture
def run_flow(auth_host: AuthHost, openid_provider: LocalProvider) -> Browser:
    """Runs flows like a browser: ``run_flow("login", identifier=…, password=…)``."""
    from authhost.testing.browser import Browser

    return Browser(auth_host, openid_provider)


@pytest.fixture
def virtual_authenticator() -> VirtualAuthenticator:
    """A passkey provider without credentials: ``virtual_authenticator.create(options, origin)``.

    It needs the package cbor2 of ``authhost[testing]``.
    """
    pytest.importorskip("cbor2", reason="SKIPPED: run `pip install 'authhost[testing]'`")
    from authhost.testing.authenticator import VirtualAuthenticator

    return VirtualAuthenticator()


@pytest.fixture
def totp_app(auth_clock: Clock) -> Callable[[str], TotpApp]:
    """Makes an authenticator app on `auth_clock`: ``totp_app("otpauth://totp/…").next_code()``."""
    from authhost.testing.totp import TotpApp

    return lambda uri_or_secret: TotpApp(uri_or_secret, auth_clock)
