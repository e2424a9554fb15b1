"""The pytest plugin: fixtures for the tests of a plugin.

A test module says which plugins are tried, and how the host is set:

    @pytest.fixture
    def authhost_plugins():
        return {"doorbell": plugin}

    @pytest.fixture
    def authhost_settings():
        return {"plugin_settings": {"doorbell": {"loud": True}}}

``pytest --authhost-conformance NAME`` tries besides whether an installed plugin
keeps what the contract asks of every plugin.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from authhost.host import AuthHost
    from authhost.request import Request
    from authhost.testing import Browser, Clock, LocalProvider, Mailbox, RecordedHooks

# pytest imports this module wherever authhost is installed: nothing heavy at its top.


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
        help="A setting of a plugin for the conformance suite.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Called by pytest: the suite is one more file to collect."""
    # The local provider's own: nothing that an author could mend.
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning:authlib")
    if config.getoption("--authhost-conformance"):
        config.args.append(str(SUITE))


@pytest.fixture
def authhost_plugins() -> dict[str, object]:
    """Plugin objects by name; override it. None by default."""
    return {}


@pytest.fixture
def authhost_settings() -> dict[str, Any]:
    """Settings of the host; override it."""
    return {}


@pytest.fixture
def auth_clock() -> Clock:
    """The host's clock: ``auth_clock.forward(minutes=5)``."""
    from authhost.testing import Clock

    return Clock()


@pytest.fixture
def recorded_hooks() -> RecordedHooks:
    """Each notification that was called, with its arguments."""
    from authhost.testing import RecordedHooks

    return RecordedHooks()


@pytest.fixture
def mailbox() -> Mailbox:
    """What was to be mailed, with its keys."""
    from authhost.testing import Mailbox

    return Mailbox()


@pytest.fixture(scope="session")
def openid_provider() -> Iterator[LocalProvider]:
    """A local OpenID provider, known to `auth_host` as ``corp``; it starts on its first use.

    Its clock is the machine's: who moves `auth_clock` far gets its tokens refused.
    """
    from authhost.testing import LocalProvider

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
    """A host on a fresh SQLite file with `authhost_plugins`.

    Where AUTHHOST_TEST_DATABASE_URL names a server's database, that one is
    EMPTIED and used in its place.
    """
    from authhost.testing import open_host
    from authhost.testing.database import emptied

    server = os.environ.get("AUTHHOST_TEST_DATABASE_URL")
    url = emptied(server) if server else f"sqlite:///{tmp_path / 'auth_host.sqlite3'}"
    plugins = {"authhost-mailbox": mailbox, "authhost-recorder": recorded_hooks, **authhost_plugins}
    settings = {"providers": openid_provider.settings, **authhost_settings}
    with open_host(url, plugins, clock=auth_clock, **settings) as host:
        refused = [each for each in host.registry.records if each.status != "loaded"]
        assert not refused, "; ".join(f"{each.name}: {each.reason}" for each in refused)
        for record in host.registry.loaded():
            if record.guarded is not None:
                record.guarded.told = _tell
        yield host


def _tell(hook: str, error: BaseException) -> None:
    """What a host that serves leaves out of its log: pytest shows it beside a test that fails."""
    print(f"a plugin failed in {hook}:", file=sys.stderr)
    traceback.print_exception(error)


@pytest.fixture
def auth_request(auth_host: AuthHost) -> Iterator[Request]:
    """An open unit of work without a session; it is committed when the test ends."""
    with auth_host.request(ip_address="127.0.0.1", user_agent="authhost.testing") as request:
        yield request


@pytest.fixture
def run_flow(auth_host: AuthHost, openid_provider: LocalProvider) -> Browser:
    """Runs flows as a browser does: ``run_flow("login", identifier=…, password=…)``."""
    from authhost.testing import Browser

    return Browser(auth_host, openid_provider)
