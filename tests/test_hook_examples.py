"""The examples of the hook reference run as plugins, in a package with its own table."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from authhost_hookspecs import Actor
from click.testing import CliRunner
from sqlalchemy import select

from authhost import Settings
from authhost.errors import ConfigurationError
from authhost.operations.monitoring import health
from authhost.pluginhost.discovery import PluginRegistry
from authhost.pluginhost.hooks import SPEC_ARGUMENTS
from authhost.pluginhost.reference import IN_FLOWS, reference
from authhost.testing import CommandContext, LocalProvider, Mailbox, open_host
from authhost.testing.scenario import SETTINGS, Scenario

PACKAGE = "authhost_doorbell"
REVISION = f"""
from alembic import op
from {PACKAGE}.tables import events

revision, down_revision = "0001", None


def upgrade() -> None:
    events.create(op.get_bind())
"""


@dataclass
class Examples:
    """The namespaces of the examples, and plugins made from their classes."""

    names: dict[str, dict[str, Any]] = field(default_factory=dict)

    def plugin(self, hook: str) -> object:
        (kind,) = (
            each for each in self.names[hook].values() if isinstance(each, type) and hook in vars(each)
        )
        return kind()


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    home = tmp_path_factory.mktemp("examples")
    migrations = home / PACKAGE / "migrations"
    migrations.mkdir(parents=True)
    for folder in (migrations, migrations.parent):
        (folder / "__init__.py").touch()
    (migrations / "0001_events.py").write_text(REVISION)
    # Each example is a module, since a dataclass looks up its own module.
    for hook in SPEC_ARGUMENTS:
        module = "tables" if hook == "register_tables" else hook
        (home / PACKAGE / f"{module}.py").write_text(reference(hook).example)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(home))
        found = Examples()
        for hook in SPEC_ARGUMENTS:
            module = "tables" if hook == "register_tables" else hook
            found.names[hook] = vars(importlib.import_module(f"{PACKAGE}.{module}"))
        yield found
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.mark.parametrize("hook", SPEC_ARGUMENTS)
def test_example_is_accepted(examples, hook):
    settings = Settings(secret_key="k" * 48, strict=True)
    (record,) = PluginRegistry(settings, {"doorbell": examples.plugin(hook)}, discover=False).records
    assert hook in record.hooks


@pytest.fixture
def host(examples, database_url):
    """A host with all examples as plugins, its mailbox and its provider."""
    pytest.importorskip("oidc_provider_mock")
    plugins = {hook: examples.plugin(hook) for hook in SPEC_ARGUMENTS}
    with LocalProvider() as provider:
        given = {"providers": provider.settings, **SETTINGS}
        # The names of a plugin's tables begin with the plugin's name.
        plugins["doorbell"] = plugins.pop("register_tables")
        plugins["mailbox"] = mailbox = Mailbox()
        with open_host(database_url, plugins, clock=lambda: datetime.now(UTC), **given) as host:
            yield host, mailbox, provider


def test_all_examples_run_in_every_flow(examples, host, caplog):
    host, mailbox, provider = host
    events, what = examples.names["register_tables"]["events"], set()

    def collect(step):
        with host.reader.connect() as connection:
            what.update(row.what.partition(" ")[0] for row in connection.execute(select(events)))

    scenario = Scenario(host, mailbox, provider, after=collect)
    scenario.run()
    operator = Actor("operator", name="root")
    host.plugins.block("another", reason="it hangs", actor=operator, installed=False)
    host.plugins.unblock("another", actor=operator)
    collect(None)
    host.close()
    assert scenario.stopped_after is None
    assert not any(step.ended_by_plugin for step in scenario.steps)
    assert "failed" not in caplog.text
    assert "not stored" not in caplog.text
    stats = host.plugin_stats()
    assert not [each for each, cost in stats.items() if cost.failures]
    for hook in SPEC_ARGUMENTS:
        if reference(hook).kind in IN_FLOWS | {"lifecycle"}:
            assert (hook, hook) in stats

    assert what >= {"login", "signup", "password", "is", "has", "connected", "trial", "went", "wrong"}


def test_vetoes_refuse(examples, host):
    from authhost_hookspecs import Refused

    with pytest.raises(Refused):
        examples.plugin("before_signup").before_signup("ann@throw-away.example")
    host, _, _ = host
    events, user_id = examples.names["register_tables"]["events"], host.new_id()
    with host.request() as request:
        row = {"id": request.new_id(), "user_id": user_id, "what": "suspended", "at": request.now}
        request.db.execute(events.insert(), row)
        suspended = type("User", (), {"id": user_id})()
        with pytest.raises(Refused):
            examples.plugin("before_login").before_login(request, suspended)


def test_registrations_take_effect(examples, host):
    host, _, _ = host
    assert host.registry.providers()["intranet"].issuer == "https://login.example.org"
    counted = CliRunner().invoke(host.registry.commands()["events"], obj=CommandContext(host))
    assert counted.output == "the bell has never rung\n"
    assert [each.name for each in health(host) if each.plugin == "register_health"] == ["bell"]
    (tidy,) = host.registry.maintenance()[0]["register_maintenance"]
    assert tidy(host) == "0 events deleted"
    (check,) = host.registry.metrics()["register_metrics"]
    assert [each.value for each in check(host)] == [0]
    (key,) = host.registry.keys()["register_keys"]
    assert (key.setting, key.change(host, None).phase) == ("chime_key", "activate")
    assert host.plugin_settings("register_settings").volume == 3
    with host.request() as request:
        assert request.plugin_settings("register_settings") is host.plugin_settings("register_settings")
    with pytest.raises(ConfigurationError, match=r"is not valid: volume must be from 0 to 11$"):
        open_host(
            host.settings.database_url,
            {"doorbell": examples.plugin("register_settings")},
            clock=lambda: datetime.now(UTC),
            email_verification="none",
            plugin_settings={"doorbell": {"volume": 12}},
        )
