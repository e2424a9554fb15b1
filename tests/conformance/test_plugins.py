"""The suite judges plugins with patterns of real ones: each correct one passes, each fault is found."""

from __future__ import annotations

import pytest

from authhost.testing.conformance.checked_plugin import find_plugin
from authhost.testing.conformance.checks.code import code
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.runner import run_check
from conformance import (
    correct_plugins,
    examined_plugins,
    facilities,
    faulty_plugins,
    judged_plugins,
    more_plugins,
)
from conformance.plugins import ids_of

MODULES = (correct_plugins, facilities, more_plugins, judged_plugins, examined_plugins)
CORRECT = [plugin for module in MODULES for plugin in module.CORRECT]
FAULTS = [
    fault
    for module in (faulty_plugins, facilities, more_plugins, judged_plugins, examined_plugins)
    for fault in module.FAULTS
]
ONE_RUN = ("outcomes", "failures", "arguments", "outside", "secrets", "personal", "called", "code")
"""Checks that share one run of the scenario."""
FURTHER = {
    correct_plugins.BoundedCache: ("threads", "state"),
    correct_plugins.LoadsLazily: ("threads", "process", "state"),
    correct_plugins.PoolPerHost: ("hosts", "process", "threads"),
    correct_plugins.WorkerPerHost: ("hosts", "process", "rollback"),
    facilities.SentCounter: ("threads", "rollback"),
    judged_plugins.CachesWithLimit: ("threads", "state"),
    judged_plugins.NarrowsTypes: ("edges", "state"),
    judged_plugins.TalliesRefusals: ("threads", "state"),
    examined_plugins.EncodesCookie: ("edges",),
    examined_plugins.StoresDigest: ("edges",),
}
"""The checks of plugins that keep something in memory. Other tests run all checks of a plugin."""


@pytest.mark.parametrize("plugin", CORRECT, ids=lambda plugin: plugin.__name__)
def test_correct_plugin_passes(new_context, plugin):
    context = new_context(plugin())
    verdicts = [run_check(name, context) for name in (*ONE_RUN, *FURTHER.get(plugin, ()))]
    assert [verdict for verdict in verdicts if verdict.outcome != "passed"] == []


@pytest.mark.parametrize(("plugin", "check", "message"), FAULTS, ids=ids_of(FAULTS))
def test_fault_is_reported(assert_fault, plugin, check, message):
    assert_fault(plugin(), check, message, located=True)


@pytest.mark.parametrize("name", ["analytics", "audit", "breached_passwords", "email", "mfa"])
def test_the_code_of_our_plugins_has_no_mistake(name, tmp_path, provider):
    assert list(code(CheckContext(find_plugin(name), tmp_path, provider))) == []
