"""A message of a plugin: what `request.send` accepts, who delivers it, and what a failure does."""

from __future__ import annotations

from datetime import datetime

import pytest
from authhost_hookspecs import Message, hookimpl
from conftest import PASSWORD

from authhost.errors import DeliveryFailed, InvalidEmail, UnitOfWorkClosed
from authhost.testing import Mailbox

ANN, BOSS = "ann@example.org", "boss@example.org"
SECRET = "the-secret-of-a-message"


def message(**values):
    return Message(**{"kind": "plugin", "recipient": BOSS, "subject": "Hello", "text": SECRET, **values})


class Sends:
    """A plugin that sends a message at each signup."""

    def __init__(self, **values):
        self.values, self.errors = values, []

    @hookimpl
    def user_signed_up(self, request):
        try:
            request.send(message(**self.values))
        except Exception as error:
            self.errors.append(error)
            raise


class Delivers:
    """A deliverer that queues a callback, and then does what the test says for messages of plugins."""

    def __init__(self, then=lambda request, message: True):
        self.then, self.sent = then, []

    @hookimpl(tryfirst=True)
    def deliver_message(self, request, message):
        request.on_commit(lambda: self.sent.append(message))
        return self.then(request, message) if message.kind == "plugin" else True


@pytest.fixture
def sign_up(make_host, run):
    def sign_up(**plugins):
        host = make_host(plugins)
        run(host, "signup", email=ANN, password=PASSWORD)
        return host

    return sign_up


def test_message_goes_to_the_deliverer_after_the_commit_with_the_name_of_its_plugin(sign_up, recorder):
    delivers = Delivers()
    sign_up(sends=Sends(recipient="Boss@Example.ORG", html="<p>x"), delivers=delivers)
    first, second = sorted(delivers.sent, key=lambda each: each.kind)
    assert first.kind == "email_confirmation"
    assert (second.plugin, second.recipient, second.subject) == ("sends", BOSS, "Hello")
    assert (second.text, second.html, second.key) == (SECRET, "<p>x", None)
    assert SECRET not in repr(second)


def test_message_of_the_application_names_no_plugin(make_host, recorder):
    with make_host().request() as request:
        request.send(message(plugin="pretended"))
    assert recorder.messages[-1].plugin is None


def test_key_of_the_mailbox_is_that_of_the_core(sign_up, recorder):
    sign_up(sends=Sends())
    assert {each.kind for each in recorder.messages} == {"plugin", "email_confirmation"}
    assert recorder.key()
    mailbox = Mailbox()
    mailbox.messages.append(message())
    with pytest.raises(LookupError):
        mailbox.key()


def refuses(request, message):
    return None


def knows_other_kinds_only(request, message):
    return {"email_confirmation": True}[message.kind]


@pytest.mark.parametrize("then", [refuses, knows_other_kinds_only])
def test_plugin_gets_the_failure_and_the_flow_continues(make_host, run, then, caplog):
    sends, delivers = Sends(), Delivers(then)
    host = make_host({"sends": sends, "delivers": delivers, "recorder": object()})
    result = run(host, "signup", email=ANN, password=PASSWORD)
    assert result.authenticated
    [error] = sends.errors
    assert isinstance(error, DeliveryFailed)
    assert "plugin sends failed in user_signed_up: DeliveryFailed" in caplog.text
    assert SECRET not in caplog.text
    assert [each.kind for each in delivers.sent][:1] == ["email_confirmation"]


def test_failed_call_of_the_sending_hook_drops_the_message(sign_up):
    class Fails:
        @hookimpl
        def user_signed_up(self, request):
            request.send(message())
            raise RuntimeError

    delivers = Delivers()
    sign_up(fails=Fails(), delivers=delivers)
    assert [each.kind for each in delivers.sent] == ["email_confirmation"]


def test_address_must_be_valid(make_host):
    with make_host().request() as request, pytest.raises(InvalidEmail):
        request.send(message(recipient="nobody"))


def test_deliverer_cannot_send(sign_up):
    sends = Sends()
    sign_up(sends=sends, delivers=Delivers(lambda request, _: request.send(message())))
    [error] = sends.errors
    assert isinstance(error, DeliveryFailed)
    assert isinstance(error.__cause__, RuntimeError)


def test_kinds_of_the_core_and_other_objects_are_refused(make_host):
    with make_host().request() as request:
        with pytest.raises(ValueError, match="kind plugin"):
            request.send(Message("password_reset", ANN, key="k"))
        with pytest.raises(TypeError, match="needs a Message"):
            request.send("text")
    with pytest.raises(UnitOfWorkClosed):
        request.send(message())


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"subject": None}, TypeError),
        ({"text": None}, TypeError),
        ({"text": b"x"}, TypeError),
        ({"html": b"x"}, TypeError),
        ({"expires": "tomorrow"}, TypeError),
        ({"expires": datetime(2030, 1, 1)}, ValueError),
        ({"user_id": "00000000-0000-0000-0000-000000000001"}, TypeError),
        ({"subject": ""}, ValueError),
        ({"subject": "x" * 201}, ValueError),
        ({"subject": "Hello\r\nBcc: eve@example.org"}, ValueError),
        ({"subject": "Hello\u2028Bcc: eve@example.org"}, ValueError),
        ({"text": " \n"}, ValueError),
        ({"text": "a\0b"}, ValueError),
        ({"html": "a\0b"}, ValueError),
        ({"text": "\ud800"}, ValueError),
        ({"text": "x" * 40_001}, ValueError),
        ({"text": "x" * 10_001, "html": "é" * 15_000}, ValueError),
        ({"key": "k"}, ValueError),
        ({"link": "https://example.org"}, ValueError),
        ({"username": "ann"}, ValueError),
    ],
)
def test_message_is_checked_when_it_is_made(values, error):
    with pytest.raises(error):
        message(**values)


def test_largest_message():
    message(text="x" * 10_000, html="é" * 15_000)
