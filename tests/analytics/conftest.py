"""A host with the plugin."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

if find_spec("authhost_analytics") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    from authhost_analytics.plugin import AnalyticsPlugin


@pytest.fixture
def make(make_host):
    """A host with the plugin, and settings of its own."""

    def make(plugins=None, analytics=None, **settings):
        return make_host(
            {"analytics": AnalyticsPlugin(), **(plugins or {})},
            plugin_settings={"analytics": analytics or {}},
            **settings,
        )

    return make


@pytest.fixture
def host(make):
    return make()
