"""What plugins store of a deleted account: a deletion that fails, or is not finished, is repeated."""

from __future__ import annotations

from dataclasses import replace
from threading import Thread

import pytest
from authhost_hookspecs import Actor, hookimpl
from conftest import PASSWORD
from sqlalchemy import select, update

from authhost.operations.core_health import deletions
from authhost.operations.maintenance import REPEAT_DELETIONS, maintain
from authhost.store.tables import plugin_deletions
from authhost.users.plugin_deletions import repeat_deletions

ANN, ROOT = "ann@example.org", Actor("operator", name="root")


class Keeper:
    """Forgets a user when it can."""

    def __init__(self, *, after_commit=False):
        self.broken, self.after_commit, self.forgotten = True, after_commit, []

    @hookimpl
    def user_deleted(self, request, user):
        if self.after_commit:
            request.on_commit(lambda: self.forget(user))
            request.on_commit(lambda: None)
        else:
            self.forget(user)

    def forget(self, user):
        if self.broken:
            raise RuntimeError("secret of ann")
        self.forgotten.append(user)


@pytest.fixture(params=[False, True], ids=["in the hook", "after the commit"])
def keeper(request):
    return Keeper(after_commit=request.param)


@pytest.fixture
def host(make_host, keeper):
    return make_host(plugins={"keeper": keeper, "other": Keeper()}, email_verification="none")


@pytest.fixture
def ann(host, run):
    run(host, "signup", email=ANN, password=PASSWORD, username="ann")
    return host.users.get(ANN)


def rows(host):
    with host.engine.connect() as connection:
        return connection.execute(select(plugin_deletions).order_by(plugin_deletions.c.plugin)).all()


def repeat(host):
    [result] = maintain(host, [REPEAT_DELETIONS])
    return result


def health(host):
    [found] = deletions(host)
    return found


def test_a_failed_deletion_is_reported_and_repeated_with_the_same_user(host, ann, keeper):
    failed = host.users.delete(ann.id, actor=ROOT)
    assert sorted(failed) == (["other"] if keeper.after_commit else ["keeper", "other"])
    assert host.users.read(ann.id) is None
    assert [(each.plugin, each.user_id, each.attempts) for each in rows(host)] == [
        ("keeper", ann.id, 1),
        ("other", ann.id, 1),
    ]
    assert health(host).status == "degraded"
    assert "1 of keeper, 1 of other" in health(host).detail
    keeper.broken = False
    again = repeat(host)
    assert (again.result, again.detail) == ("failed", "1 of 2 deletions failed again: other; see the log")
    assert keeper.forgotten == [ann]
    assert [(each.plugin, each.attempts) for each in rows(host)] == [("other", 2)]


def test_what_waits_tells_nothing_of_the_person(host, ann, caplog):
    host.users.delete(ann.id, actor=ROOT)
    stored = repr([tuple(each) for each in rows(host)])
    assert str(ann.id) in stored
    assert ANN not in stored + caplog.text
    assert "secret of ann" not in stored + caplog.text


def test_a_deletion_without_failure_leaves_nothing(host, ann, keeper):
    keeper.broken = False
    host.users.delete(ann.id, actor=ROOT)
    assert [each.plugin for each in rows(host)] == ["other"]
    assert keeper.forgotten == [ann]


def test_a_rolled_back_deletion_leaves_nothing(host, ann, keeper):
    with pytest.raises(ZeroDivisionError), host.request(actor=ROOT) as request:
        request.accounts.delete(ann.id)
        raise ZeroDivisionError
    assert rows(host) == []
    assert host.users.read(ann.id) is not None


def test_a_plugin_that_is_not_loaded_is_called_when_it_is_again(make_host, host, ann, keeper):
    host.users.delete(ann.id, actor=ROOT)
    keeper.broken = False
    assert repeat(make_host(email_verification="none")).result == "failed"
    assert [each.plugin for each in rows(host)] == ["keeper", "other"]
    assert repeat(host).result == "failed"
    assert [each.plugin for each in rows(host)] == ["other"]
    assert keeper.forgotten == [ann]


def test_the_end_of_the_process_before_the_callback_loses_nothing(make_host, run):
    """The callback after the commit does not run, as if the process had been killed before it."""
    keeper = Keeper(after_commit=True)
    keeper.broken = False
    host = make_host(plugins={"keeper": keeper}, email_verification="none")
    run(host, "signup", email=ANN, password=PASSWORD)
    with host.request(actor=ROOT) as request:
        request.accounts.delete(host.users.get(ANN).id)
        kept, request.callbacks = request.callbacks, []
    assert kept
    assert keeper.forgotten == []
    assert repeat(host).result == "done"
    assert [each.email for each in keeper.forgotten] == [ANN]
    assert rows(host) == []
    assert health(host).status == "ok"


def test_a_callback_that_fails_again_counts_as_a_failure(make_host, run):
    keeper = Keeper(after_commit=True)
    host = make_host(plugins={"keeper": keeper}, email_verification="none")
    run(host, "signup", email=ANN, password=PASSWORD)
    host.users.delete(host.users.get(ANN).id, actor=ROOT)
    assert repeat(host).detail == "1 of 1 deletions failed again: keeper; see the log"
    assert [each.attempts for each in rows(host)] == [2]


class Sender:
    """A required plugin whose row for the first account cannot be stored at the commit."""

    def __init__(self):
        self.first, self.called = None, []

    @hookimpl
    def user_deleted(self, request, user):
        if self.first is None:
            self.first = user.id
        self.called.append(user.id)
        if len(self.called) < 3:
            raise RuntimeError
        if user.id == self.first:
            request.insert(plugin_deletions, {"id": request.new_id()})


def test_a_deletion_that_cannot_be_committed_does_not_keep_others_from_being_repeated(make_host, run):
    sender = Sender()
    host = make_host(plugins={"sender": sender}, email_verification="none")
    for email in (ANN, "bob@example.org"):
        run(host, "signup", email=email, password=PASSWORD)
        host.users.delete(host.users.get(email).id, actor=ROOT)
    required = make_host(plugins={"sender": sender}, email_verification="none", required_plugins=("sender",))
    assert repeat(required).detail == "1 of 2 deletions failed again: sender; see the log"
    assert [each.user_id for each in rows(required)] == [sender.first]


def test_an_account_that_a_later_version_has_stored_is_read(host, ann, keeper):
    host.users.delete(ann.id, actor=ROOT)
    stored, encryption = rows(host), host.services.encryption
    with host.engine.begin() as connection:
        for row in stored:
            sealed = encryption.seal({**encryption.open(row.sealed), "pronoun": "she"})
            connection.execute(
                update(plugin_deletions).where(plugin_deletions.c.id == row.id).values(sealed=sealed)
            )
    keeper.broken = False
    repeat(host)
    assert keeper.forgotten == [ann]


def test_what_is_stored_under_an_address_stays_if_another_account_has_verified_it(host, ann, keeper):
    host.users.verify_email(ann.id, ANN, actor=ROOT)
    former = host.users.get(ANN)
    host.users.delete(ann.id, actor=ROOT)
    host.users.create(ANN, actor=ROOT, verified=True)
    keeper.broken = False
    repeat(host)
    assert keeper.forgotten == [replace(former, email=None, email_verified=False)]


def test_two_processes_at_once_call_the_plugin_once(make_host, run):
    class Meeting(Keeper):
        @hookimpl
        def user_deleted(self, request, user):
            self.forget(user)
            other.start()

    meeting, results = Meeting(), []
    host = make_host(plugins={"meeting": meeting}, email_verification="none")
    other = Thread(target=lambda: results.extend(repeat_deletions(host.services)))
    run(host, "signup", email=ANN, password=PASSWORD)
    host.users.delete(host.users.get(ANN).id, actor=ROOT)
    meeting.broken = False
    assert [each.done for each in repeat_deletions(host.services)] == [True]
    other.join(30)
    assert (len(meeting.forgotten), results) == (1, [])
