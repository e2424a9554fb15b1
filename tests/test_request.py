"""What every plugin finds on its request, beyond the data of the flow."""

from __future__ import annotations

import inspect
from uuid import UUID

import authhost_hookspecs as contract
import pytest
from authhost_hookspecs import hookimpl
from conftest import PASSWORD

from authhost import AuthHost
from authhost.errors import InvalidInput, UnitOfWorkClosed
from authhost.request import Request


class Carries:
    """A plugin that passes a value from one hook to the next."""

    def __init__(self, name):
        self.name, self.seen = name, []

    @hookimpl
    def user_signed_up(self, request, user):
        request.local(self.name)["signed_up"] = user.id

    @hookimpl
    def user_logged_in(self, request, user):
        self.seen.append(request.local(self.name).get("signed_up") == user.id)


def test_local_passes_values_from_one_hook_to_the_next(make_host, run):
    one, two = Carries("one"), Carries("two")
    host = make_host({"one": one, "two": two}, email_verification="none")
    run(host, "signup", email="ann@example.org", password=PASSWORD)
    run(host, "login", identifier="ann@example.org", password=PASSWORD)
    assert one.seen == two.seen == [True, False]


def test_local_is_separate_by_plugin_and_ends_with_the_unit(make_host):
    with make_host().request() as request:
        request.local("one")["key"] = 1
        assert (request.local("one"), request.local("two")) == ({"key": 1}, {})
        request.on_commit(lambda: request.local("one").update(key=2))
    with pytest.raises(UnitOfWorkClosed):
        request.local("one")


def test_job_of_a_plugin_opens_a_unit_of_work_through_the_host(make_host):
    class Works:
        @hookimpl
        def user_signed_up(self, request, user):
            request.in_background(logs_in, request.host)

    def logs_in(host):
        with host.request(user_agent="a job") as request:
            host.account.login(request, identifier="ann@example.org", password=PASSWORD)

    host = make_host({"works": Works()}, email_verification="none")
    with host.request() as request:
        host.account.signup(request, email="ann@example.org", password=PASSWORD)
    assert host.wait_for_background(30)
    assert host.plugin_stats()["recorder", "user_logged_in"].calls == 2


def test_host_of_the_contract_opens_units_with_the_same_arguments():
    def arguments(function):
        return [
            (each.name, each.kind, each.default) for each in inspect.signature(function).parameters.values()
        ]

    assert arguments(contract.Host.request) == arguments(AuthHost.request)
    without_services = [each for each in arguments(Request.__init__) if each[0] != "services"]
    assert without_services == arguments(AuthHost.request)


def test_plugins_read_the_cookies_of_the_browser_but_not_authhosts_own(make_host):
    host = make_host()
    cookies = {
        "theme": "dark",
        "authhost-session": "a",
        "__Host-authhost-pending": "b",
        "__Host-session": "of the application",
        "x": "",
    }
    with host.request(session_token="of the application", cookies=cookies) as request:
        assert dict(request.cookies) == {"theme": "dark", "x": ""}
        with pytest.raises(TypeError):
            request.cookies["theme"] = "light"
    with host.request() as request:
        assert dict(request.cookies) == {}
    for wrong in (["theme"], {"theme": 1}, {1: "dark"}):
        with pytest.raises(InvalidInput):
            host.request(cookies=wrong)


def test_the_actor_is_the_logged_in_user_unless_the_application_names_one(make_host, run):
    host = make_host(email_verification="none")
    ann = run(host, "signup", email="ann@example.org", password=PASSWORD)
    with host.request() as request:
        assert request.actor is None
    with host.request(session_token=ann.session_token) as request:
        assert request.actor == contract.Actor("user", ann.user.id)
    root = contract.Actor("operator", name="root")
    with host.request(session_token=ann.session_token, actor=root) as request:
        assert request.actor == root


@pytest.mark.parametrize(
    "values",
    [
        ("user",),
        ("user", None, "ann"),
        ("user", UUID(int=1), "ann"),
        ("operator",),
        ("operator", None, ""),
        ("operator", None, "a\nb"),
        ("operator", None, "x" * 151),
        ("operator", UUID(int=1), "ann"),
        ("robot", None, "ann"),
    ],
)
def test_an_actor_is_a_user_or_has_a_name(values):
    with pytest.raises(ValueError, match=r"kind|name"):
        contract.Actor(*values)
