"""Spans of flows and hooks, with the SDK of OpenTelemetry; and nothing at all without its API."""

from __future__ import annotations

import pytest
from authhost_hookspecs import Refused, hookimpl
from conftest import PASSWORD

from authhost.errors import InvalidCredentials, Vetoed
from authhost.telemetry import spans as spans_module
from authhost.telemetry.spans import find_spans

sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="SKIPPED: pip install opentelemetry-sdk")

ANN = "ann@example.org"


@pytest.fixture
def exported(monkeypatch):
    """The finished spans. The provider of a process can be set once only, so this replaces the look-up."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return exporter


def found(exporter, name):
    return [each for each in exporter.get_finished_spans() if each.name == name]


class Bell:
    """Rings, refuses and breaks, with the address in each text."""

    def __init__(self):
        self.request_ids, self.bars = [], False

    @hookimpl
    def user_signed_up(self, user):
        raise KeyError(user.email)

    @hookimpl
    def user_logged_in(self, request, user):
        self.request_ids.append(str(request.id))

    @hookimpl
    def before_login(self, user):
        if self.bars:
            raise Refused("barred", f"{ANN} is barred")

    @hookimpl(wrapper=True)
    def email_added(self):
        return (yield)


def test_a_flow_has_a_span_with_its_hooks_as_children(make_host, run, exported):
    bell = Bell()
    host = make_host({"bell": bell})
    run(host, "signup", email=ANN, password=PASSWORD)
    run(host, "login", identifier=ANN, password=PASSWORD)
    (login,) = found(exported, "flow login")
    (hook,) = [
        each
        for each in found(exported, "bell user_logged_in")
        if each.parent.span_id == login.context.span_id
    ]
    request_id = bell.request_ids[-1]
    assert dict(login.attributes) == {
        "authhost.flow": "login",
        "authhost.outcome": "ok",
        "authhost.request_id": request_id,
    }
    assert dict(hook.attributes) == {
        "authhost.plugin": "bell",
        "authhost.hook": "user_logged_in",
        "authhost.outcome": "ok",
        "authhost.request_id": request_id,
    }


def test_outcomes(make_host, run, exported):
    bell = Bell()
    host = make_host({"bell": bell})
    run(host, "signup", email=ANN, password=PASSWORD)
    bell.bars = True
    with pytest.raises(InvalidCredentials):
        run(host, "login", identifier=ANN, password="not the password")
    with pytest.raises(Vetoed):
        run(host, "login", identifier=ANN, password=PASSWORD)
    wrong, vetoed = found(exported, "flow login")
    assert wrong.attributes["authhost.outcome"] == "invalid_credentials"
    assert vetoed.attributes["authhost.outcome"] == "vetoed"
    assert wrong.status.is_unset, "a refusal is no failure of the program"
    refusal = found(exported, "bell before_login")[-1]
    assert (refusal.attributes["authhost.outcome"], refusal.status.is_unset) == ("refused", True)
    (failed,) = found(exported, "bell user_signed_up")
    assert failed.attributes["authhost.outcome"] == "failed"
    assert failed.attributes["error.type"] == "KeyError"
    assert (failed.status.is_ok, failed.status.description) == (False, None)


def test_no_span_has_an_argument_or_an_identifier(make_host, run, exported):
    bell = Bell()
    host = make_host({"bell": bell})
    user = run(host, "signup", email=ANN, username="annabel", password=PASSWORD).user
    bell.bars = True
    with pytest.raises(Vetoed):
        run(host, "login", identifier=ANN, password=PASSWORD)
    shown = "".join(each.to_json() for each in exported.get_finished_spans())
    assert "flow signup" in shown
    for secret in ("ann", "example.org", str(user.id), PASSWORD):
        assert secret not in shown
    assert not any(each.events for each in exported.get_finished_spans())


def test_spans_change_neither_failures_nor_owners_of_jobs(make_host, run, exported, caplog):
    host = make_host({"bell": Bell()})
    run(host, "signup", email=ANN, password=PASSWORD)
    (failure,) = [each for each in caplog.records if "failed in user_signed_up" in each.getMessage()]
    assert failure.at.partition(":")[0] == __file__
    guarded = host.registry.guarded("bell")
    assert type(guarded.functions["user_logged_in"].__self__) is Bell


def test_registrations_have_none(make_host, exported):
    class Registering:
        @hookimpl
        def register_commands(self):
            return []

    make_host({"bell": Registering()}).registry.commands()
    assert not any("register_" in each.name for each in exported.get_finished_spans())


def test_without_the_api_the_implementations_are_not_wrapped(make_host, run, monkeypatch):
    import sys

    for name in [each for each in sys.modules if each.partition(".")[0] == "opentelemetry"]:
        monkeypatch.setitem(sys.modules, name, None)
    assert find_spans() is None

    def used(*values):
        raise AssertionError("spans were used")

    monkeypatch.setattr(spans_module.Spans, "__init__", used)
    host = make_host({"bell": Bell()})
    run(host, "signup", email=ANN, password=PASSWORD)
    assert host.services.telemetry._spans is None
