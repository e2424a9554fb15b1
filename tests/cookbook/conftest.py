"""The recipes as packages that can be imported, and hosts with them."""

from __future__ import annotations

import importlib
import sys
from contextlib import ExitStack, contextmanager

import pytest

from authhost.testing import PASSWORD, Browser, open_host
from cookbook import recipes
from cookbook.http_server import Server

DOMAIN = "example.org"
ANN, SECOND, EVE = f"ann@{DOMAIN}", "ann@elsewhere.example", "eve@elsewhere.example"


class RecipeBrowser(Browser):
    """A browser that waits for the jobs of each flow, and keeps the answer of the last one."""

    def __init__(self, host, provider):
        super().__init__(host, provider)
        self.given = {}
        self.last_answer = None

    @contextmanager
    def request(self, *, given=None):
        with super().request(given=given or self.given) as request:
            self.last_answer = request.answer
            yield request

    def __call__(self, flow, /, **values):
        try:
            return super().__call__(flow, **values)
        finally:
            assert self.host.wait_for_background(10)


@pytest.fixture(scope="session")
def all_recipes(tmp_path_factory):
    """Writes all recipes into a folder, from which they can be imported."""
    found, folder = recipes.read(), tmp_path_factory.mktemp("cookbook")
    recipes.write(found, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield found, folder
    for module in [each for each in sys.modules if each.partition(".")[0].removeprefix("authhost_") in found]:
        del sys.modules[module]


@pytest.fixture
def module(all_recipes):
    """The module of a recipe, which is the plugin: ``module("loginlog")``."""
    return lambda name: importlib.import_module(recipes.PREFIX + name)


@pytest.fixture
def serve(module, mailbox, recorded_hooks, auth_clock, openid_provider, database_url):
    """Opens a host with a recipe: ``serve("loginlog", **settings_of_the_recipe)``.

    ``serve.host`` are settings of the host itself, ``serve.others`` further
    recipes. At the end of the test, no hook and no job may have failed.
    """
    opened = ExitStack()

    def serve(name, **settings):
        plugins = {each: module(each) for each in (name, *serve.others)}
        values = {
            "providers": openid_provider.settings,
            "plugin_settings": {name: settings} if settings else {},
            "strict": True,
            **serve.host,
        }
        mailing = {"authhost-mailbox": mailbox, "authhost-recorder": recorded_hooks}
        host = opened.enter_context(open_host(database_url, mailing | plugins, clock=auth_clock, **values))
        opened.callback(lambda: failures.extend(k for k, v in host.plugin_stats().items() if v.failures))
        return RecipeBrowser(host, openid_provider)

    serve.host, serve.others, failures = {}, (), []
    yield serve
    opened.close()
    assert failures == []


@pytest.fixture
def server():
    """A local HTTP server instead of the service that a recipe calls."""
    with Server().running() as running:
        yield running


def signed_up(browser, email=ANN, **given):
    """Sign up in a browser; returns the result."""
    return browser("signup", email=email, password=PASSWORD, **given)


def of_user(browser, function, *values):
    """What a function of a recipe returns for the logged-in user."""
    with browser.request() as request:
        return function(request, request.user.id, *values)


def user_by(browser, email):
    with browser.request() as request:
        return request.user_by_email(email)
