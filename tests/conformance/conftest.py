"""Trials of plugins, planted or installed."""

from __future__ import annotations

import sys

import pytest

from authhost.testing import LocalProvider
from authhost.testing.conformance import PluginUnderTest
from authhost.testing.conformance.context import CheckContext


@pytest.fixture(scope="module")
def provider():
    with LocalProvider() as running:
        yield running


@pytest.fixture(scope="module")
def without(provider, tmp_path_factory):
    """A life without any plugin is the same for all."""
    return CheckContext(
        PluginUnderTest("faulty", None), tmp_path_factory.mktemp("without"), provider
    ).without_plugin


@pytest.fixture
def trial(provider, without, tmp_path):
    def make(plugin):
        made = CheckContext(PluginUnderTest("faulty", plugin), tmp_path, provider)
        made._without_plugin = without
        return made

    return make


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a module as pip would, with a distribution of its own."""

    def install(source, *requires, name="planted", module="planted_plugin"):
        site = tmp_path / "site"
        info = site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(source)
        needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n{needs}")
        (info / "entry_points.txt").write_text(f"[authhost]\n{name} = {module}:plugin\n")
        (info / "RECORD").write_text(f"{module}.py,,\n")
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.delitem(sys.modules, module, raising=False)
        return site

    return install
