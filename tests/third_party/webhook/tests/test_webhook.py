"""Tests of the outbox and of its delivery."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from authhost_webhook import plugin
from authhost_webhook.commands import webhook
from authhost_webhook.delivery import deliver_due, waiting
from authhost_webhook.settings import WebhookSettings
from click.testing import CliRunner

from authhost import AuthHost, AuthHostError, Settings
from authhost.testing import OTHER_PASSWORD, PASSWORD

SECRET = "a-secret-of-32-characters-or-more"


class Receiver:
    """An HTTP server that responds with the given statuses, then with 204."""

    def __init__(self):
        self.posts, self.statuses = [], []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posts.append((self.path, self.headers["Authhost-Signature"], body))
                status = receiver.statuses.pop(0) if receiver.statuses else 204
                self.send_response(status)
                if status == 307:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                """Log nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?site=1"

    @property
    def events(self):
        return [json.loads(body) for _, _, body in self.posts]

    @property
    def types(self):
        return [event["type"] for event in self.events]


@pytest.fixture
def receiver():
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.02,))
    thread.start()
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


@pytest.fixture
def authhost_plugins():
    return {"webhook": plugin}


@pytest.fixture
def more_settings():
    return {}


@pytest.fixture
def authhost_settings(receiver, more_settings):
    given = {"url": receiver.url, "secret": SECRET, "background": False, **more_settings}
    return {"plugin_settings": {"webhook": given}, "email_verification": "optional"}


@pytest.fixture
def deliver(auth_host):
    """Runs the command and returns what it printed."""

    def deliver():
        result = CliRunner().invoke(webhook, ["deliver", "--once"], obj=lambda: auth_host)
        assert result.exit_code == 0, result.output
        return result.output.strip()

    return deliver


def sign_up(run_flow):
    return run_flow("signup", email="ann@example.org", password=PASSWORD)


def test_each_signal_is_delivered_in_order(run_flow, recorded_hooks, mailbox, receiver, deliver):
    sign_up(run_flow)
    run_flow("confirm_email", key=mailbox.key())
    run_flow("add_email", email="ann@work.example.org")
    run_flow("confirm_email", key=mailbox.key())
    run_flow("make_primary", email="ann@work.example.org")
    run_flow("remove_email", email="ann@example.org")
    run_flow("change_password", current_password=PASSWORD, new_password=OTHER_PASSWORD)
    run_flow.social(process="connect", sub="ann", email="ann@example.org", email_verified=True)
    [account] = run_flow("social_list_accounts")
    run_flow.forget()
    run_flow.social(sub="ann", email="ann@example.org", email_verified=True)
    run_flow("social_disconnect", account_id=account.id)
    run_flow("logout")
    run_flow("request_password_reset", email="ann@work.example.org")
    run_flow("reset_password", key=mailbox.key(), password=PASSWORD)

    assert deliver() == f"{len(receiver.types)} delivered, 0 waiting"
    signals = [name for name in recorded_hooks.names if hasattr(plugin, name)]
    assert receiver.types == signals
    assert len(set(signals)) == 14  # all but password_set
    assert len({event["id"] for event in receiver.events}) == len(signals)
    assert b"example.org" not in b"".join(body for _, _, body in receiver.posts)


@pytest.mark.parametrize("more_settings", [{"addresses": True}])
def test_events_contain_addresses_if_the_setting_is_on(run_flow, mailbox, receiver, deliver):
    sign_up(run_flow)
    run_flow("confirm_email", key=mailbox.key())
    run_flow("add_email", email="ann@work.example.org")
    run_flow("confirm_email", key=mailbox.key())
    run_flow("make_primary", email="ann@work.example.org")
    deliver()
    assert receiver.events[0]["data"]["email"] == "ann@example.org"
    changed = next(event["data"] for event in receiver.events if event["type"] == "email_changed")
    assert (changed["from_email"], changed["to_email"]) == ("ann@example.org", "ann@work.example.org")


def test_event_has_type_and_time_and_is_signed(auth_host, run_flow, receiver, deliver):
    user = sign_up(run_flow).user
    deliver()
    path, signature, body = receiver.posts[0]
    assert path == "/hook?site=1"
    event = json.loads(body)
    assert event["type"] == "user_signed_up"
    assert event["time"] == auth_host.now.isoformat()
    assert event["data"] == {"user": str(user.id)}
    time = int(auth_host.now.timestamp())
    expected = hmac.new(SECRET.encode(), f"{time}.".encode() + body, hashlib.sha256).hexdigest()
    assert signature == f"t={time},v1={expected}"


def test_signup_that_is_rolled_back_is_not_delivered(auth_host, receiver, deliver):
    with pytest.raises(RuntimeError, match="the application"), auth_host.request() as request:
        auth_host.account.signup(request, email="ann@example.org", password=PASSWORD)
        raise RuntimeError("the application failed")
    assert deliver() == "0 delivered, 0 waiting"
    assert receiver.posts == []


@pytest.mark.parametrize("status", [500, 404, 307])
def test_later_events_wait_until_the_oldest_is_accepted(auth_clock, run_flow, receiver, deliver, status):
    sign_up(run_flow)
    receiver.statuses = [status, status]
    assert deliver() == "0 delivered, 3 waiting"
    assert deliver() == "0 delivered, 3 waiting"
    assert receiver.types == ["user_signed_up"]  # not due yet
    auth_clock.forward(seconds=61)
    deliver()
    auth_clock.forward(seconds=61)
    deliver()
    assert receiver.types == ["user_signed_up"] * 2  # it waits longer each time
    auth_clock.forward(seconds=60)
    assert deliver() == "3 delivered, 0 waiting"
    assert receiver.types[2:] == ["user_signed_up", "email_confirmation_sent", "user_logged_in"]
    assert len({path for path, _, _ in receiver.posts}) == 1  # a redirect is not followed


@pytest.mark.parametrize("more_settings", [{"background": True}])
def test_events_are_delivered_in_the_background_after_the_commit(
    auth_host, run_flow, receiver, deliver, auth_clock
):
    receiver.statuses = [500]
    sign_up(run_flow)
    assert receiver.types == ["user_signed_up"]  # one attempt, although there are three events
    run_flow("logout")
    assert deliver() == "0 delivered, 4 waiting"
    auth_clock.forward(seconds=61)
    run_flow("login", identifier="ann@example.org", password=PASSWORD)
    assert waiting(auth_host) == 0
    assert receiver.types[1:] == [
        *("user_signed_up", "email_confirmation_sent", "user_logged_in", "user_logged_out"),
        "user_logged_in",
    ]


def test_unreachable_receiver_loses_no_event(auth_host, auth_clock, run_flow, receiver, caplog):
    sign_up(run_flow)
    unreachable = WebhookSettings(url="http://127.0.0.1:1/secret-path", secret=SECRET)
    assert deliver_due(auth_host, unreachable) == 0
    assert "did not answer: ConnectionRefusedError" in caplog.text
    assert "secret-path" not in caplog.text
    auth_clock.forward(minutes=2)
    assert deliver_due(auth_host, auth_host.plugin_settings("webhook")) == 3


def test_simultaneous_deliveries_keep_the_order(auth_host, run_flow, receiver):
    sign_up(run_flow)
    for _ in range(5):
        run_flow("logout")
        run_flow("login", identifier="ann@example.org", password=PASSWORD)
    events = waiting(auth_host)
    settings = auth_host.plugin_settings("webhook")
    threads = [threading.Thread(target=deliver_due, args=(auth_host, settings)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert waiting(auth_host) == 0
    ids = [event["id"] for event in receiver.events]
    assert ids == sorted(ids)
    assert len(ids) == len(set(ids)) == events


def test_without_a_url_nothing_is_stored(auth_host, run_flow, tmp_path):
    settings = Settings(
        secret_key="k" * 48, database_url=f"sqlite:///{tmp_path / 'off.sqlite3'}", email_verification="none"
    )
    with AuthHost(settings, plugins={"webhook": plugin}, discover=False, upgrade_database=True) as host:
        with host.request() as request:
            host.account.signup(request, email="ann@example.org", password=PASSWORD)
        assert waiting(host) == 0
        result = CliRunner().invoke(webhook, ["deliver", "--once"], obj=lambda: host)
        assert result.exit_code == 1
        assert "set url" in result.output


@pytest.mark.parametrize(
    "given",
    [
        {"url": "http://hooks.example.org/", "secret": SECRET},
        {"url": "https:///path", "secret": SECRET},
        {"url": "https://ann:secret@hooks.example.org/", "secret": SECRET},
        {"url": "https://hooks.example.org:port/", "secret": SECRET},
        {"url": "https://hooks.example.org/", "secret": "short"},
        {"timeout": 60},
    ],
)
def test_host_does_not_start_with_unusable_settings(tmp_path, given):
    settings = Settings(
        secret_key="k" * 48,
        database_url=f"sqlite:///{tmp_path / 'wrong.sqlite3'}",
        email_verification="none",
        plugin_settings={"webhook": given},
    )
    with pytest.raises(AuthHostError, match="plugin webhook"):
        AuthHost(settings, plugins={"webhook": plugin}, discover=False)


def test_secret_is_not_in_the_repr():
    assert SECRET not in repr(WebhookSettings(url="https://hooks.example.org/", secret=SECRET))
