"""Plugins that are blocked at run time: in all processes, in every kind of hook, and safely."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from contextlib import closing

import pytest
from authhost_hookspecs import (
    Actor,
    LoginStep,
    Message,
    OpenIDConnectProvider,
    Refused,
    hookimpl,
)
from sqlalchemy import select, text

from authhost import AuthHost, Settings
from authhost.errors import (
    DeliveryFailed,
    ExportFailed,
    InvalidInput,
    LoginUnavailable,
    PluginNotBlockable,
    ProviderNotFound,
    RequiredPluginFailed,
    Vetoed,
)
from authhost.store.tables import blocked_plugins
from authhost.testing import CHEAP_HASH, PASSWORD
from authhost.testing.browser import Browser
from authhost.users.plugin_deletions import repeat_deletions, waiting_deletions

ANN, BOB = "ann@example.org", "bob@example.org"
ROOT = Actor("operator", name="root")


class Shop:
    """Implements a hook of every kind, and counts the calls."""

    def __init__(self):
        self.calls, self.veto = [], False
        self.changed = threading.Event()

    @hookimpl
    def user_logged_in(self, request):
        self.calls.append("user_logged_in")

    @hookimpl
    def user_logged_out(self, request):
        self.calls.append("user_logged_out")

    @hookimpl(wrapper=True)
    def user_signed_up(self, request):
        self.calls.append("user_signed_up")
        return (yield)

    @hookimpl
    def before_login(self, request):
        self.calls.append("before_login")
        if self.veto:
            raise Refused("closed", "The shop is closed.")

    @hookimpl
    def login_steps(self, request, user):
        self.calls.append("login_steps")
        return [LoginStep("receipt", "/receipt")] if "shop" in user.login_guards else []

    @hookimpl
    def export_user(self, request, user):
        return {"orders": 1}

    @hookimpl
    def user_deleted(self, request, user):
        self.calls.append("user_deleted")

    @hookimpl
    def host_started(self, host):
        self.calls.append("host_started")
        self.changed.set()

    @hookimpl
    def host_stopping(self, host):
        self.calls.append("host_stopping")
        self.changed.set()

    def wait(self):
        """Wait until the plugin was started or stopped."""
        assert self.changed.wait(30)
        self.changed.clear()

    def take(self):
        """Return the calls since the last time."""
        calls, self.calls = self.calls, []
        return calls


@pytest.fixture
def shop():
    return Shop()


@pytest.fixture
def host(make_host, shop):
    return make_host({"shop": shop})


@pytest.fixture
def ann(host):
    browser = Browser(host)
    browser("signup", email=ANN, password=PASSWORD)
    browser("logout")
    return browser


def block(host, name="shop", reason="it hangs", actor=ROOT):
    return host.plugins.block(name, reason=reason, actor=actor)


def log_in(browser, email=ANN):
    return browser("login", identifier=email, password=PASSWORD)


def guard(host, email=ANN):
    user = host.users.get(email)
    with host.request() as request:
        request.logins.guard("shop", user.id)


def test_a_blocked_plugin_is_not_called_until_it_is_unblocked(host, shop, ann, clock, recorder):
    shop.veto = True
    with pytest.raises(Vetoed):
        log_in(ann)
    shop.take()
    found = block(host)
    assert (found.plugin, found.since, found.by, found.reason) == ("shop", clock.now, "root", "it hangs")
    assert str(found) == "blocked at run time since 2026-01-01T00:00:00Z by root: it hangs"
    shop.wait()
    assert shop.take() == ["host_stopping"]
    log_in(ann)
    Browser(host)("signup", email=BOB, password=PASSWORD)
    ann("logout")
    assert shop.take() == []
    assert host.plugins.unblock("shop", actor=ROOT)
    shop.wait()
    assert shop.take() == ["host_started"]
    with pytest.raises(Vetoed):
        log_in(ann)
    assert shop.take() == ["login_steps", "before_login"]
    assert not host.plugins.unblock("shop", actor=ROOT)
    called = [name for name, _ in recorder.calls if name.startswith("plugin_")]
    assert called == ["plugin_blocked", "plugin_unblocked"]


def test_another_host_follows_when_it_reads_again(make_host, shop, caplog):
    one, other_shop = make_host({"shop": shop}), Shop()
    other = make_host({"shop": other_shop})
    browser = Browser(other)
    browser("signup", email=ANN, password=PASSWORD)
    block(one)
    browser("logout")
    assert "user_logged_out" in other_shop.take()
    other_shop.changed.clear()
    caplog.clear()
    with caplog.at_level(logging.WARNING, "authhost.plugins"):
        other.plugins.refresh()
        other.plugins.refresh()
    assert [record.getMessage() for record in caplog.records] == [
        "plugin shop is blocked at run time since 2026-01-01T00:00:00Z by root: it hangs"
    ]
    assert caplog.records[0].plugin == "shop"
    other_shop.wait()
    log_in(browser)
    assert other_shop.take() == ["host_stopping"]
    third = make_host({"shop": other_shop})  # one that starts later
    log_in(Browser(third))
    assert other_shop.take() == []
    one.plugins.unblock("shop", actor=ROOT)
    third.plugins.refresh()
    other_shop.wait()
    browser("logout")  # the other host has not read it yet
    assert other_shop.take() == ["host_started"]


def test_a_unit_of_work_keeps_the_state_of_its_beginning(host, shop, ann):
    shop.take()
    with ann.request() as request:
        block(host)
        host.account.login(request, identifier=ANN, password=PASSWORD)
        assert {"login_steps", "before_login", "user_logged_in"} <= {*shop.take()}
    with ann.request() as request:
        host.plugins.unblock("shop", actor=ROOT)
        host.account.logout(request)
    assert "user_logged_out" not in shop.take()


def test_a_guarded_account_cannot_be_logged_in_to(host, shop, ann):
    guard(host)
    assert log_in(ann).waits_for == "shop.receipt"
    block(host)
    with pytest.raises(LoginUnavailable) as refused:
        log_in(Browser(host))
    assert refused.value.fields["plugin"] == "shop"
    with pytest.raises(LoginUnavailable), ann.request() as request:  # the login that waits
        request.logins.complete_step("shop.receipt")
    with ann.request() as request:
        assert request.user is None
    with pytest.raises(ValueError, match="nobody could log in"):
        guard(host)
    host.plugins.unblock("shop", actor=ROOT)
    assert log_in(Browser(host)).waits_for == "shop.receipt"


def test_an_export_without_a_blocked_plugin_would_be_incomplete(host, ann):
    user = host.users.get(ANN)
    block(host)
    with pytest.raises(ExportFailed) as refused:
        host.users.export(user.id, actor=ROOT)
    assert refused.value.fields["plugin"] == "shop"
    host.plugins.unblock("shop", actor=ROOT)
    assert host.users.export(user.id, actor=ROOT)["plugins"]["shop"] == {"orders": 1}


def test_what_a_blocked_plugin_has_to_delete_waits(host, shop, ann):
    user = host.users.get(ANN)
    block(host)
    assert host.users.delete(user.id, actor=ROOT) == ("shop",)
    assert list(repeat_deletions(host.services)) == []
    assert waiting_deletions(host.services) == {"shop": 1}
    assert "user_deleted" not in shop.take()
    host.plugins.unblock("shop", actor=ROOT)
    assert list(repeat_deletions(host.services)) == [("shop", user.id, True)]
    assert "user_deleted" in shop.take()
    assert waiting_deletions(host.services) == {}


def test_a_blocked_plugin_delivers_nothing(make_host):
    class Post:
        sent = 0

        @hookimpl
        def deliver_message(self, message: Message):
            self.sent += 1
            return True

    class Aaa(Post):
        pass

    first, second = Aaa(), Post()
    host = make_host({"aaa": first, "post": second})
    Browser(host)("signup", email=ANN, password=PASSWORD)
    assert (first.sent, second.sent) == (1, 0)
    block(host, "aaa")
    Browser(host)("signup", email=BOB, password=PASSWORD)
    assert (first.sent, second.sent) == (1, 1)
    block(host, "post")
    block(host, "recorder")
    with pytest.raises(DeliveryFailed):
        Browser(host)("signup", email="cora@example.org", password=PASSWORD)


def test_jobs_of_a_blocked_plugin_are_dropped(make_host, caplog):
    began, release, ran = threading.Event(), threading.Event(), []

    class Jobs:
        @hookimpl
        def user_signed_up(self, request):
            request.in_background(self.work, "first")
            request.in_background(self.work, "second")

        def work(self, text):
            began.set()
            release.wait(30)
            ran.append(text)

    jobs = Jobs()
    host = make_host({"jobs": jobs}, background_threads=1)
    with host.request() as request:  # a `Browser` would wait for the jobs
        host.account.signup(request, email=ANN, password=PASSWORD)
    assert began.wait(30)  # the first one
    block(host, "jobs")
    with caplog.at_level(logging.ERROR, "authhost.plugins"):
        release.set()
        host.in_background(jobs.work, "third")
        assert host.wait_for_background(30)
    assert ran == ["first"]
    dropped = [each for each in caplog.messages if "dropped, because the plugin is blocked" in each]
    assert len(dropped) == 2
    host.plugins.unblock("jobs", actor=ROOT)
    host.in_background(jobs.work, "fourth")
    assert host.wait_for_background(30)
    assert ran == ["first", "fourth"]


def test_the_providers_of_a_blocked_plugin_cannot_be_used(make_host):
    class Corp:
        @hookimpl
        def register_providers(self):
            return [OpenIDConnectProvider(id="corp", name="Corp", issuer="https://corp.example")]

    apps = {each: {"client_id": "us", "client_secret": "s" * 32} for each in ("corp", "google")}
    host = make_host({"corporate": Corp()}, providers=apps)
    assert [each.id for each in host.services.providers] == ["corp", "google"]
    block(host, "corporate")
    assert [each.id for each in host.services.providers] == ["google"]
    with pytest.raises(ProviderNotFound), host.request() as request:
        host.socialaccount.begin(request, provider="corp")
    host.plugins.unblock("corporate", actor=ROOT)
    assert "corp" in host.services.providers


def test_a_required_plugin_cannot_be_blocked(make_host, shop, caplog):
    relaxed, strict = make_host({"shop": shop}), make_host({"shop": shop}, required_plugins=("shop",))
    with pytest.raises(PluginNotBlockable, match="remove it from required_plugins, and restart"):
        block(strict)
    assert relaxed.plugins.blocked() == {}
    block(relaxed)  # a process with other settings
    caplog.clear()
    with caplog.at_level(logging.ERROR, "authhost.plugins"):
        strict.plugins.refresh()
        strict.plugins.refresh()
    assert caplog.messages == ["plugin shop is blocked, but runs, since it is required"]
    shop.take()
    Browser(strict)("signup", email=ANN, password=PASSWORD)
    assert "user_signed_up" in shop.take()


def test_names_and_reasons_are_checked(host):
    with pytest.raises(PluginNotBlockable, match="did you mean 'shop'"):
        block(host, "shp")
    with pytest.raises(PluginNotBlockable, match="authhost plugins list"):
        block(host, "zzz")
    for wrong in ("", " ", "x" * 501, "two\nlines", None):
        with pytest.raises(InvalidInput):
            block(host, reason=wrong)
    host.plugins.block("elsewhere", reason="x", actor=ROOT, installed=False)
    assert host.plugins.blocked().keys() == {"elsewhere"}
    assert host.services.blocked == {}
    first = block(host)
    assert block(host, reason="another") == first
    ann = host.users.create(ANN, actor=ROOT)
    host.plugins.unblock("shop", actor=ROOT)
    assert block(host, actor=Actor("user", ann.id)).by == str(ann.id)


def test_a_failing_required_plugin_undoes_the_block(make_host, shop):
    class Witness:
        @hookimpl
        def plugin_blocked(self, request, plugin, reason):
            raise RuntimeError("no record")

    host = make_host({"shop": shop, "witness": Witness()}, required_plugins=("witness",))
    with pytest.raises(RequiredPluginFailed, match="nothing was stored"):
        block(host)
    assert host.plugins.blocked() == {}
    assert host.services.blocked == {}


def test_several_operators_at_once(make_host, shop):
    host = make_host({"shop": shop})
    found, start = [], threading.Barrier(4)

    def run(number):
        start.wait()
        found.append(block(host, reason=f"reason {number}"))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len({*found}) == 1
    with host.reader.connect() as connection:
        assert len(connection.execute(select(blocked_plugins)).all()) == 1


def test_the_state_stays_while_the_database_cannot_be_read(host, shop, caplog):
    block(host)
    with host.engine.begin() as connection:
        connection.execute(text("ALTER TABLE authhost_blocked_plugin RENAME TO away"))
    caplog.clear()
    with caplog.at_level(logging.WARNING, "authhost.plugins"):
        host.plugins.refresh()
        host.plugins.refresh()
        assert host.services.blocked.keys() == {"shop"}
        with host.engine.begin() as connection:
            connection.execute(text("ALTER TABLE away RENAME TO authhost_blocked_plugin"))
        host.plugins.refresh()
    assert [each.partition(":")[0] for each in caplog.messages] == [
        "the plugins that are blocked at run time cannot be read",
        "the plugins that are blocked at run time can be read again",
    ]
    assert host.services.blocked.keys() == {"shop"}


def test_a_plugin_that_hangs_when_it_stops_blocks_nothing(make_host):
    release, ended = threading.Event(), threading.Event()

    class Hangs:
        @hookimpl
        def host_stopping(self, host):
            release.wait(30)
            ended.set()

    host = make_host({"hangs": Hangs()}, background_drain=0)
    block(host, "hangs")
    assert host.services.blocked.keys() == {"hangs"}
    host.plugins.unblock("hangs", actor=ROOT)
    assert host.services.blocked == {}
    assert not ended.is_set()
    release.set()


def test_audit_records_who_has_blocked_it(make_host, shop):
    audit = pytest.importorskip("authhost_audit.plugin")
    host = make_host({"shop": shop, "audit": audit.AuditPlugin()})
    block(host, "audit", "the disk is full")
    Browser(host)("signup", email=ANN, password=PASSWORD)
    host.plugins.unblock("audit", actor=ROOT)
    from authhost_audit.tables import event_table

    with host.reader.connect() as connection:
        columns = event_table.c.event, event_table.c.plugin, event_table.c.data
        rows = connection.execute(select(*columns).order_by(event_table.c.id)).all()
    actor = {"kind": "operator", "name": "root"}
    kept = [(event, plugin, json.loads(data)) for event, plugin, data in rows if event.startswith("plugin_")]
    assert kept == [
        ("plugin_blocked", "audit", {"actor": actor, "reason": "the disk is full"}),
        ("plugin_unblocked", "audit", {"actor": actor}),
    ]
    assert "user_signed_up" not in {row.event for row in rows}


SIGNUPS = 2_000
"""More than a process completes before it has read the blocks again."""
WORKER = """
import sys
from authhost import AuthHost, Settings
from authhost_hookspecs import hookimpl

class Shop:
    @hookimpl
    def user_signed_up(self, user):
        print("called", flush=True)

settings = Settings(
    secret_key="of-the-tests-" * 4, database_url=sys.argv[1], rate_limits=False,
    email_verification="none", password_min_length=8, blocked_plugins_refresh=0.05,
    password_hash_options={"argon2__time_cost": 1, "argon2__memory_cost": 8, "argon2__parallelism": 1},
)
with AuthHost(settings, plugins={"shop": Shop()}, discover=False) as host:
    for number, line in enumerate(sys.stdin):
        with host.request() as request:
            host.account.signup(request, email=f"u{number}@example.org", password="teapots sing")
        print("done", flush=True)
"""


def sign_up(process):
    """Sign up in another process; return whether it has called the plugin."""
    process.stdin.write("\n")
    process.stdin.flush()
    first = process.stdout.readline().strip()
    assert first in ("called", "done")
    return first == "called" and process.stdout.readline().strip() == "done"


def test_another_process_follows_by_itself(make_host, database_url, shop):
    host = make_host({"shop": shop})
    command = [sys.executable, "-c", WORKER, database_url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        try:
            assert sign_up(process)
            block(host)
            assert any(not sign_up(process) for _ in range(SIGNUPS))
            host.plugins.unblock("shop", actor=ROOT)
            assert any(sign_up(process) for _ in range(SIGNUPS))
        finally:
            process.stdin.close()
    assert process.returncode == 0


def refreshing(tmp_path, shop, **settings):
    values = {
        "secret_key": "of-the-tests-" * 4,
        "database_url": f"sqlite:///{tmp_path / 'refreshing.sqlite3'}",
        "email_verification": "none",
        "password_hash_options": dict(CHEAP_HASH),
        "rate_limits": False,
        "blocked_plugins_refresh": 0.02,
        **settings,
    }
    return AuthHost(Settings(**values), plugins={"shop": shop}, discover=False, upgrade_database=True)


def names_of_threads():
    return [thread.name for thread in threading.enumerate()]


def test_the_thread_ends_with_the_host(tmp_path, shop):
    before = names_of_threads().count("authhost-blocks")
    with closing(refreshing(tmp_path, shop)):
        assert names_of_threads().count("authhost-blocks") == before + 1
    assert names_of_threads().count("authhost-blocks") == before
    with closing(refreshing(tmp_path, shop, blocked_plugins_refresh=0)):
        assert names_of_threads().count("authhost-blocks") == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_reads_for_itself(tmp_path, shop):
    with closing(refreshing(tmp_path, shop)) as host:
        shop.wait()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                host.engine.dispose(close=False)
                assert "authhost-blocks" not in names_of_threads()
                with host.request() as request:
                    assert request.user is None
                os.write(writing, b"1")
                shop.wait()
                assert "shop" in host.services.blocked
            except BaseException:
                os._exit(1)
            os._exit(0)
        try:
            assert os.read(reading, 1) == b"1"
            block(host)
        finally:
            _, status = os.waitpid(child, 0)
            os.close(reading)
            os.close(writing)
        assert os.waitstatus_to_exitcode(status) == 0
