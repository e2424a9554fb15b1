"""Contexts for checks of plugins that are objects, or installed distributions."""

from __future__ import annotations

import inspect
import sys
from functools import wraps
from pathlib import Path

import pytest

from authhost.testing import LocalProvider
from authhost.testing.conformance import CheckedPlugin
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.runner import CHECKS, run_check, with_location


@pytest.fixture(scope="module")
def provider():
    with LocalProvider() as running:
        yield running


@pytest.fixture(scope="module")
def without_plugin(provider, tmp_path_factory):
    """The scenario without a plugin, which is the same for all plugins."""
    folder = tmp_path_factory.mktemp("without")
    return CheckContext(CheckedPlugin("faulty", None), folder, provider).without_plugin


@pytest.fixture
def new_context(provider, without_plugin, tmp_path):
    """Makes the context of a plugin object, whose name is ``faulty``."""

    def new_context(plugin):
        context = CheckContext(CheckedPlugin("faulty", plugin), tmp_path, provider)
        context._without_plugin = without_plugin
        return context

    return new_context


def ends_at(check, message):
    """A check that ends as soon as it has found a fault with this message, and so runs no further host."""

    @wraps(check)
    def shortened(context):
        for fault in check(context):
            yield fault
            if message in str(with_location(fault, context.checked)):
                return

    return shortened


@pytest.fixture
def assert_fault(new_context, capsys, monkeypatch):
    """Asserts that a check reports ``message`` and prints nothing. The check ends at this fault.

    A fault that names a hook must have the plugin's file and line. ``located``
    asks this also of a fault that names no hook.
    """

    def assert_fault(plugin, check, message, *, located=False):
        monkeypatch.setitem(CHECKS, check, ends_at(CHECKS[check], message))
        verdict = run_check(check, new_context(plugin))
        assert verdict.outcome == "failed", verdict
        found = [fault for fault in verdict.faults if message in str(fault)]
        assert found, verdict
        if located or found[0].hook is not None:
            file = Path(inspect.getfile(type(plugin))).name
            assert str(found[0].where).startswith(f"{file}:"), found[0]
        assert capsys.readouterr() == ("", "")

    return assert_fault


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a module like pip does, with its own distribution."""

    def install(source, *requires, name="planted", module="planted_plugin"):
        site = tmp_path / "site"
        info = site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (site / f"{module}.py").write_text(source)
        needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n{needs}")
        (info / "entry_points.txt").write_text(f"[authhost]\n{name} = {module}:plugin\n")
        (info / "RECORD").write_text(f"{module}.py,,\n")
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.delitem(sys.modules, module, raising=False)
        return site

    return install
