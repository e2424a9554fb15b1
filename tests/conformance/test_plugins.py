"""The suite judges plugins with patterns of real ones: each correct one passes, each fault is found."""

from __future__ import annotations

import pytest

from authhost.testing.conformance import CHECKS
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
STATEFUL = {
    correct_plugins.BoundedCache,
    correct_plugins.LoadsLazily,
    correct_plugins.PoolPerHost,
    correct_plugins.WorkerPerHost,
    facilities.SentCounter,
    judged_plugins.CachesWithLimit,
    judged_plugins.NarrowsTypes,
    judged_plugins.TalliesRefusals,
}
"""Plugins that all checks have to pass."""


@pytest.mark.parametrize("plugin", CORRECT, ids=lambda plugin: plugin.__name__)
def test_correct_plugin_passes(new_context, plugin):
    context = new_context(plugin())
    verdicts = [run_check(name, context) for name in (CHECKS if plugin in STATEFUL else ONE_RUN)]
    assert [verdict for verdict in verdicts if verdict.outcome != "passed"] == []


@pytest.mark.parametrize(("plugin", "check", "message"), FAULTS, ids=ids_of(FAULTS))
def test_fault_is_reported(assert_fault, plugin, check, message):
    assert_fault(plugin(), check, message, located=True)
