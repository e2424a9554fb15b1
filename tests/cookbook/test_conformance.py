"""Every recipe passes the conformance suite, with the settings that make it do something."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

import pytest

from authhost.testing import LocalProvider
from authhost.testing.conformance import CheckedPlugin
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.runner import CHECKS, run_check
from cookbook import recipes
from cookbook.http_server import Server

RECIPES = recipes.read()
LEFT_OUT = frozenset({"independent", "times"})
"""The first looks at an installed distribution; test_recipes.py looks at the imports. The second repeats all
flows, to measure what is not a recipe's promise."""
OF_STATE = frozenset({"process", "state", "threads"})
SETTINGS = {
    "admins": {"addresses": "root@example.org boss@example.org"},
    "avatar": {"servers": "{place}"},
    "billing": {"url": "{url}"},
    "calendar": {"provider": "corp"},
    "campus": {"provider": "corp"},
    "chat": {"webhook_url": "{url}/hook"},
    "claimgroups": {"provider": "corp"},
    "dashboard": {"staff_domain": "example.org"},
    "directory": {"url": "{url}"},
    "funnel": {"url": "{url}"},
    "marketing": {"newsletter_url": "{url}/list", "analytics_url": "{url}/events"},
    "members": {"domain": "example.org"},
    "referral": {"queue_url": "{url}/jobs"},
    "repositories": {"url": "{url}/{{provider}}"},
    "ssoonly": {"domain": "company.example", "provider": "corp"},
}


def keeps_values(plugin):
    """Whether something can grow in the module, or be shared: the checks `OF_STATE` look for it."""
    names = (name for name in vars(plugin) if not name.startswith("__"))
    return any(isinstance(getattr(plugin, name), Iterable) for name in names)


@pytest.fixture(scope="module")
def provider():
    with LocalProvider() as running:
        yield running


@pytest.fixture(scope="module")
def server():
    with Server().running() as running:
        running.content["/corp"] = ("application/json", b"[]")
        yield running


@pytest.fixture(scope="module")
def without_plugin(provider, tmp_path_factory):
    """The scenario without a plugin, which is the same for all recipes."""
    return CheckContext(CheckedPlugin("none", None), tmp_path_factory.mktemp("none"), provider).without_plugin


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_passes_the_conformance_suite(
    name, all_recipes, provider, server, without_plugin, tmp_path, capsys
):
    settings = {
        key: value.format(url=server.url, place=server.place) for key, value in SETTINGS.get(name, {}).items()
    }
    plugin = importlib.import_module(recipes.PREFIX + name)
    context = CheckContext(CheckedPlugin(name, plugin, settings), tmp_path, provider)
    context._without_plugin = without_plugin
    skipped = LEFT_OUT if keeps_values(plugin) else LEFT_OUT | OF_STATE
    verdicts = [run_check(check, context) for check in CHECKS if check not in skipped]
    assert [fault for verdict in verdicts for fault in verdict.faults if not fault.note] == []
    assert all(verdict.outcome == "passed" for verdict in verdicts)
