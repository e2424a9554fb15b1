"""``host.users``: what administrators do with accounts."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import pytest
from authhost_hookspecs import Actor, FlowError, hookimpl
from conftest import PASSWORD, Everything
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import event, select

from authhost.account.deactivation import active_user
from authhost.account.password import send_reset_link
from authhost.cli.checks.passwords import check_stored_hashes
from authhost.errors import AmbiguousUser, HostClosed, InvalidInput, PasswordResetRequired, UserNotFound
from authhost.store.tables import pending_logins, users

ANN, BOB, NEW = "ann@example.org", "bob@example.org", "another long passphrase of ann"
ROOT = Actor("operator", name="root")


@pytest.fixture
def recorder():
    return Everything()


@pytest.fixture
def host(make_host):
    return make_host(email_verification="none")


@pytest.fixture
def ann(host, run, recorder):
    login = run(host, "signup", email=ANN, password=PASSWORD, username="ann")
    recorder.calls.clear()
    return login.user


def names(recorder):
    return [call[0] for call in recorder.calls]


def code_of(function, *args, **values):
    with pytest.raises(FlowError) as raised:
        function(*args, **values)
    return raised.value.code


def can_log_in(run, host, password=PASSWORD, identifier=ANN):
    with suppress(FlowError):
        return run(host, "login", identifier=identifier, password=password).authenticated
    return False


class Witness:
    """Records who acts in each hook of a change."""

    def __init__(self):
        self.actors = []

    @hookimpl
    def user_signed_up(self, request):
        self.actors.append(request.actor)

    @hookimpl
    def user_deactivated(self, request):
        self.actors.append(request.actor)


def test_hooks_see_who_acts(make_host):
    witness = Witness()
    host = make_host({"witness": witness}, email_verification="none")
    user = host.users.create(ANN, actor=ROOT)
    host.users.deactivate(user.id, actor=ROOT)
    assert witness.actors == [ROOT, ROOT]


def test_a_change_needs_an_actor(host, ann):
    with pytest.raises(TypeError):
        host.users.deactivate(ann.id, actor=None)
    assert host.users.read(ann.id).user.is_active


# Create and invite.


@pytest.mark.parametrize("mode", ["none", "optional", "mandatory"])
def test_a_created_account_belongs_to_whoever_follows_the_invitation(make_host, run, recorder, mode):
    host = make_host(email_verification=mode, signup_open=False)
    user = host.users.create(ANN, username="ann", actor=ROOT, invite=True)
    assert (user.email, user.email_verified, user.has_usable_password) == (ANN, False, False)
    assert "account_ready" not in names(recorder)
    message = recorder.messages[-1]
    assert (message.kind, message.recipient, message.user_id) == ("invitation", ANN, user.id)
    assert message.expires - host.clock() == timedelta(days=7)
    result = run(host, "reset_password", key=message.key, password=NEW)
    assert result is None or result.authenticated
    assert host.users.read(user.id).user.email_verified
    called = names(recorder)
    assert (called.count("user_signed_up"), called.count("account_ready")) == (1, 1)
    assert can_log_in(run, host, NEW)


@pytest.mark.parametrize("mode", ["none", "optional", "mandatory"])
def test_a_created_account_can_be_verified_at_once(make_host, recorder, mode):
    host = make_host(email_verification=mode)
    user = host.users.create(ANN, verified=True, actor=ROOT)
    assert user.email_verified
    assert names(recorder) == ["user_signed_up", "email_confirmed", "account_ready"]
    assert host.users.read(user.id).email_addresses[0].verified
    assert recorder.messages == []


def test_a_created_account_never_expires(make_host, clock):
    host = make_host(email_verification="mandatory")
    user = host.users.create(ANN, actor=ROOT)
    clock.forward(days=400)
    host.delete_expired()
    assert host.users.read(user.id) is not None


@pytest.mark.parametrize("mode", ["none", "optional", "mandatory"])
def test_a_taken_address_or_username_is_refused(make_host, run, recorder, mode):
    host = make_host(email_verification=mode)
    host.users.create(ANN, username="ann", verified=True, actor=ROOT)
    recorder.calls.clear()
    assert code_of(host.users.create, ANN, actor=ROOT) == "email_taken"
    assert code_of(host.users.create, BOB, username="Ann", actor=ROOT) == "username_taken"
    assert code_of(host.users.create, "nonsense", actor=ROOT) == "invalid_email"
    assert code_of(host.users.create, actor=ROOT) == "invalid_input"
    assert code_of(host.users.create, username="bob", verified=True, actor=ROOT) == "invalid_input"
    flows = {call[1]["flow"] for call in recorder.calls if call[0] == "flow_refused"}
    assert flows == {"accounts_create"}
    with host.engine.connect() as connection:
        assert len(connection.execute(select(users.c.id)).all()) == 1


def test_an_account_with_a_username_only(host, run):
    user = host.users.create(username="ann", actor=ROOT)
    assert (user.email, user.username) == (None, "ann")
    assert code_of(host.users.invite, user.id, actor=ROOT) == "email_not_found"


def test_no_account_stays_if_the_invitation_cannot_be_sent(make_host, recorder):
    class Failing:
        @hookimpl(tryfirst=True)
        def deliver_message(self, message):
            raise OSError("no mail today")

    host = make_host({"failing": Failing()}, email_verification="none")
    assert code_of(host.users.create, ANN, invite=True, actor=ROOT) == "delivery_failed"
    with pytest.raises(UserNotFound):
        host.users.get(ANN)


# Deactivate for a time.


def test_a_deactivation_ends_by_itself(host, run, ann, clock, recorder):
    until = clock.now + timedelta(days=3)
    host.users.deactivate(ann.id, until=until, reason="Pays late.", actor=ROOT)
    user = host.users.read(ann.id).user
    assert (user.is_active, user.deactivated_until, user.deactivation_reason) == (False, until, "Pays late.")
    assert not can_log_in(run, host)
    clock.forward(days=3)
    recorder.calls.clear()
    assert not can_log_in(run, host, "a wrong passphrase of ann")
    assert "user_reactivated" not in names(recorder)
    recorder.calls.clear()
    assert can_log_in(run, host)
    assert names(recorder) == ["user_reactivated", "user_logged_in"]
    assert recorder.calls[1][1]["user"].is_active
    assert host.users.read(ann.id).user.deactivation_reason is None


def test_a_reason_says_why(host, ann):
    with pytest.raises(InvalidInput):
        host.users.deactivate(ann.id, reason=" ", actor=ROOT)
    host.users.deactivate(ann.id, reason=" Pays late. ", actor=ROOT)
    assert host.users.read(ann.id).user.deactivation_reason == "Pays late."


def test_maintenance_ends_deactivations(host, ann, clock, recorder):
    host.users.deactivate(ann.id, until=clock.now + timedelta(days=3), actor=ROOT)
    host.delete_expired()
    assert not host.users.read(ann.id).user.is_active
    clock.forward(days=4)
    recorder.calls.clear()
    host.delete_expired()
    assert host.users.read(ann.id).user.is_active
    assert names(recorder) == ["user_reactivated"]


def test_a_reset_works_again_when_the_deactivation_is_over(host, run, ann, clock, recorder):
    host.users.deactivate(ann.id, until=clock.now + timedelta(hours=1), actor=ROOT)
    run(host, "request_password_reset", email=ANN)
    assert recorder.messages[-1].kind == "password_reset_unknown_account"
    clock.forward(hours=1)
    run(host, "request_password_reset", email=ANN)
    assert recorder.messages[-1].kind == "password_reset"


def test_a_deactivation_that_is_changed_is_told_again(host, ann, clock, recorder):
    host.users.deactivate(ann.id, actor=ROOT)
    host.users.deactivate(ann.id, actor=ROOT)
    host.users.deactivate(ann.id, reason="Spam.", actor=ROOT)
    assert names(recorder).count("user_deactivated") == 2


@pytest.mark.parametrize(
    "values",
    [
        {"until": timedelta(0)},
        {"until": timedelta(seconds=-1)},
        {"reason": ""},
        {"reason": "x" * 501},
        {"reason": "a\nb"},
    ],
)
def test_a_wrong_end_or_reason_is_refused(host, ann, clock, values):
    if "until" in values:
        values = {"until": clock.now + values["until"]}
    assert code_of(host.users.deactivate, ann.id, actor=ROOT, **values) == "invalid_input"
    assert host.users.read(ann.id).user.is_active


def test_an_end_without_a_time_zone_is_refused(host, ann, clock):
    until = (clock.now + timedelta(days=1)).replace(tzinfo=None)
    assert code_of(host.users.deactivate, ann.id, until=until, actor=ROOT) == "invalid_input"


# Require a new password.


def test_a_required_reset_refuses_the_password_and_ends_the_sessions(host, run, ann, recorder):
    assert not host.users.read(ann.id).password_reset_required
    host.users.require_reset(ann.id, actor=ROOT)
    assert host.users.read(ann.id).password_reset_required
    assert host.users.export(ann.id, actor=ROOT)["account"]["password_reset_required"]
    assert names(recorder) == ["session_ended", "password_reset_required"]
    assert recorder.calls[0][1]["reason"] == "reset_required"
    with pytest.raises(PasswordResetRequired):
        run(host, "login", identifier=ANN, password=PASSWORD)
    assert code_of(run, host, "login", identifier=ANN, password="a wrong passphrase") == "invalid_credentials"
    host.users.send_reset(ann.id, actor=ROOT)
    message = recorder.messages[-1]
    assert (message.kind, message.recipient) == ("password_reset", ANN)
    run(host, "reset_password", key=message.key, password=NEW)
    assert can_log_in(run, host, NEW)
    assert not host.users.read(ann.id).password_reset_required


def test_a_required_reset_cannot_be_avoided_by_another_session(host, run, ann):
    """Somebody who knows the password and has a session of another method cannot keep or use the password."""
    login = run(host, "login", identifier=ANN, password=PASSWORD)
    with host.engine.begin() as connection:
        stored = connection.execute(select(users.c.password)).scalar_one()
        marked = host.services.passwords.require_reset(stored)
        connection.execute(users.update().values(password=marked))
    token = login.session_token
    for flow, values in (
        ("reauthenticate", {"password": PASSWORD}),
        ("change_password", {"current_password": PASSWORD, "new_password": NEW}),
    ):
        assert code_of(run, host, flow, token, **values) == "password_reset_required"


def test_a_required_reset_is_told_once_and_needs_a_password(host, ann, recorder):
    host.users.require_reset(ann.id, actor=ROOT)
    recorder.calls.clear()
    host.users.require_reset(ann.id, actor=ROOT)
    host.users.remove_password(ann.id, actor=ROOT)
    recorder.calls.clear()
    host.users.require_reset(ann.id, actor=ROOT)
    assert names(recorder) == []


def test_a_reset_goes_only_to_addresses_of_the_account(host, run, ann, recorder):
    host.users.create(BOB, actor=ROOT)
    assert code_of(host.users.send_reset, ann.id, BOB, actor=ROOT) == "email_not_found"
    host.users.deactivate(ann.id, actor=ROOT)
    assert code_of(host.users.send_reset, ann.id, actor=ROOT) == "account_inactive"
    assert recorder.messages == []


# Sessions.


def test_end_one_session(host, run, ann, recorder):
    other = run(host, "login", identifier=ANN, password=PASSWORD)
    [newest, oldest] = host.users.read(ann.id).sessions
    host.users.end_session(ann.id, oldest.id, actor=ROOT)
    assert [each.id for each in host.users.read(ann.id).sessions] == [newest.id]
    with host.request(session_token=other.session_token) as request:
        assert request.user is not None
    bob = host.users.create(BOB, actor=ROOT)
    assert code_of(host.users.end_session, bob.id, newest.id, actor=ROOT) == "session_not_found"


# Find.


def test_get_by_every_name(host, ann):
    digits = ann.id.hex
    for name in (str(ann.id), digits, digits[:13].upper(), ANN, "ANN@Example.org", "Ann"):
        assert host.users.get(name).id == ann.id
    for name in ("bob", "ann@", "zzz", BOB):
        with pytest.raises(UserNotFound):
            host.users.get(name)
    with pytest.raises(InvalidInput):
        host.users.get("")


def test_an_ambiguous_identifier_names_the_candidates(host, ann):
    bob = host.users.create(BOB, actor=ROOT)
    common = ann.id.hex[:4]
    assert bob.id.hex.startswith(common)
    with pytest.raises(AmbiguousUser) as raised:
        host.users.get(common)
    assert set(raised.value.fields["candidates"]) == {str(ann.id), str(bob.id)}


def test_find_by_the_beginning_of_each_name(host, ann):
    bob = host.users.create(BOB, username="Bobby", actor=ROOT)
    host.users.add_email(bob.id, "robert@work.example.org", actor=ROOT)
    for beginning in ("bob@exa", "BOB", "bobb", "robert@w", bob.id.hex[:-1], f" {bob.id} "):
        assert [each.id for each in host.users.find(beginning)] == [bob.id]
    assert [each.id for each in host.users.find(ann.id.hex[:4])] == [bob.id, ann.id]
    assert len(host.users.find(ann.id.hex[:4], limit=1)) == 1
    assert list(host.users.find("%")) == []
    assert list(host.users.find("_nn")) == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(min_size=1, max_size=40))
def test_any_text_can_be_searched(host, ann, beginning):
    with suppress(InvalidInput):
        found = host.users.find(beginning)
        assert all(each.id == ann.id for each in found)
        with suppress(UserNotFound):
            assert host.users.get(beginning).id == ann.id


def test_list_pages_and_filters(host, ann, clock):
    created = [host.users.create(f"u{number}@example.org", actor=ROOT).id for number in range(5)]
    host.users.deactivate(created[0], actor=ROOT)
    host.users.verify_email(created[1], "u1@example.org", actor=ROOT)

    def listed(*filters, **values):
        return [each.id for each in host.users.list(*filters, **values)]

    newest = [*reversed(created), ann.id]
    assert listed() == newest
    assert listed(limit=2) == newest[:2]
    assert listed(limit=2, before=newest[1]) == newest[2:4]
    assert listed("deactivated") == [created[0]]
    assert listed("verified") == [created[1]]
    assert set(listed("active", "unverified")) == set(newest) - {created[0], created[1]}
    assert listed("passwordless", "deactivated") == [created[0]]
    assert listed("guarded") == []
    clock.forward(days=1)
    later = host.users.create("later@example.org", actor=ROOT).id
    assert listed(since=clock.now - timedelta(hours=1)) == [later]
    assert [each.id for each in host.users.all(page=2)] == [later, *newest]
    for wrong in ({"limit": 0}, {"limit": 1001}):
        assert code_of(host.users.list, **wrong) == "invalid_input"
    assert code_of(host.users.list, "nonsense") == "invalid_input"


def test_stats(host, run, ann, clock):
    bob = host.users.create(BOB, actor=ROOT, verified=True)
    host.users.deactivate(bob.id, actor=ROOT)
    found = host.users.stats()
    assert (found.total, found.active, found.deactivated, found.verified) == (2, 1, 1, 1)
    assert (found.with_password, found.with_social_account, found.guarded) == (1, 0, 0)
    assert (found.recent, found.sessions) == (1, 1)
    clock.forward(days=31)
    assert host.users.stats().recent == 0


def test_stats_of_an_empty_database(host):
    assert host.users.stats().total == 0


def test_export_and_delete(host, ann):
    host.users.deactivate(ann.id, reason="Spam.", actor=ROOT)
    assert host.users.export(ann.id, actor=ROOT)["account"]["deactivation_reason"] == "Spam."
    host.users.delete(ann.id, actor=ROOT)
    assert host.users.read(ann.id) is None
    assert code_of(host.users.delete, UUID(int=1), actor=ROOT) == "user_not_found"


def test_a_closed_host_does_nothing(host, ann):
    host.close()
    for call in (
        lambda: host.users.get(ANN),
        lambda: host.users.read(ann.id),
        lambda: host.users.deactivate(ann.id, actor=ROOT),
    ):
        with pytest.raises(HostClosed):
            call()


def test_a_required_reset_is_no_hash_that_cannot_be_read(host, ann):
    host.users.require_reset(ann.id, actor=ROOT)
    assert list(check_stored_hashes(host)) == []


def test_searches_use_indexes(host, ann):
    """A search that reads all accounts would take seconds with millions of them."""
    if host.engine.dialect.name != "sqlite":
        pytest.skip("SKIPPED: the plans of SQLite are compared")
    plans = []

    def explain(connection, cursor, sql, parameters, *rest):
        if sql.lstrip().startswith("SELECT"):
            plans.extend(row[3] for row in cursor.connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters))

    event.listen(host.reader, "before_cursor_execute", explain)
    try:
        for name in (ANN, "ann", str(ann.id), ann.id.hex[:20]):
            host.users.get(name)
            host.users.find(name)
        host.users.list(before=UUID(int=2**128 - 1))
        for each in ("deactivated", "unverified", "guarded", "passwordless"):
            host.users.list(each)
        host.users.read(ann.id)
    finally:
        event.remove(host.reader, "before_cursor_execute", explain)
    assert plans
    assert [each for each in plans if each.startswith("SCAN authhost") and "INDEX" not in each] == []
    for few in ("user_deactivated", "email_address_unverified", "user_guarded", "user_passwordless"):
        assert any(f"ix_authhost_{few}" in each for each in plans), few


# Faults that an attack found.


def test_recovery_by_a_second_address_keeps_that_address(make_host, run, recorder):
    """An account with a username only, whose one address was never verified and is not primary."""
    host = make_host(email_verification="mandatory", login_on_password_reset=False)
    bob = host.users.create(username="bob", actor=ROOT)
    host.users.add_email(bob.id, BOB, actor=ROOT)
    host.users.send_reset(bob.id, BOB, actor=ROOT)
    run(host, "reset_password", key=recorder.messages[-1].key, password=NEW)
    [address] = host.users.read(bob.id).email_addresses
    assert (address.email, address.verified, address.primary) == (BOB, True, True)
    assert can_log_in(run, host, NEW, BOB)
    assert can_log_in(run, host, NEW, "bob")


def test_a_reset_is_sent_to_no_unverified_address_beside_a_verified_one(host, run, ann, recorder):
    host.users.verify_email(ann.id, ANN, actor=ROOT)
    host.users.add_email(ann.id, BOB, actor=ROOT)
    assert code_of(host.users.send_reset, ann.id, BOB, actor=ROOT) == "email_not_verified"
    with host.request() as request:
        address = next(each for each in request.account(ann.id).email_addresses if each.email == BOB)
        send_reset_link(request, ann, address, timeout=60)
    assert code_of(run, host, "reset_password", key=recorder.messages[-1].key, password=NEW) == "invalid_key"
    assert {each.email for each in host.users.read(ann.id).email_addresses} == {ANN, BOB}
    assert can_log_in(run, host)


def test_a_deactivation_for_good_is_not_undone_by_a_request_that_began_before(host, ann, clock, recorder):
    host.users.deactivate(ann.id, until=clock.now + timedelta(hours=1), actor=ROOT)
    clock.forward(hours=2)
    stale = host.users.read(ann.id).user
    host.users.deactivate(ann.id, reason="Fraud.", actor=ROOT)
    recorder.calls.clear()
    with host.request() as request:
        assert active_user(request, stale) is None
    assert not host.users.read(ann.id).user.is_active
    assert names(recorder) == []


def test_two_requests_may_end_a_deactivation(host, ann, clock, recorder):
    host.users.deactivate(ann.id, until=clock.now + timedelta(hours=1), actor=ROOT)
    clock.forward(hours=2)
    stale = host.users.read(ann.id).user
    for _ in range(2):
        with host.request() as request:
            assert active_user(request, stale).is_active
    assert names(recorder).count("user_reactivated") == 1


def test_an_account_is_active_wherever_it_is_read_after_its_deactivation(host, ann, clock):
    host.users.deactivate(ann.id, until=clock.now + timedelta(hours=1), actor=ROOT)
    assert [each.id for each in host.users.list("deactivated")] == [ann.id]
    clock.forward(hours=2)
    with host.request() as request:
        assert request.account(ann.id).user.is_active
    assert host.users.get(ANN).is_active
    assert (list(host.users.list("deactivated")), host.users.stats().active) == ([], 1)
    host.users.reactivate(ann.id, actor=ROOT)
    assert host.users.get(ANN).deactivated_until is None


def test_a_stranger_ends_no_deactivation(host, run, ann, clock, recorder):
    host.users.deactivate(ann.id, until=clock.now + timedelta(hours=1), actor=ROOT)
    clock.forward(hours=2)
    recorder.calls.clear()
    run(host, "request_password_reset", email=ANN)
    assert "user_reactivated" not in names(recorder)
    result = run(host, "reset_password", key=recorder.messages[-1].key, password=NEW)
    assert result is None or result.authenticated
    assert "user_reactivated" in names(recorder)


def test_links_are_sent_when_a_deactivation_is_over(host, ann, clock, recorder):
    host.users.deactivate(ann.id, until=clock.now + timedelta(hours=1), actor=ROOT)
    clock.forward(hours=2)
    host.users.send_reset(ann.id, actor=ROOT)
    host.users.deactivate(ann.id, until=clock.now + timedelta(hours=1), actor=ROOT)
    clock.forward(hours=2)
    host.users.invite(ann.id, actor=ROOT)
    assert [each.kind for each in recorder.messages] == ["password_reset", "invitation"]


def test_a_login_that_waits_does_not_outlive_a_deactivation(make_host, run, clock, recorder):
    host = make_host(email_verification="mandatory")
    login = run(host, "signup", email=ANN, password=PASSWORD)
    user = host.users.get(ANN)
    with host.engine.connect() as connection:
        [row] = connection.execute(select(pending_logins)).mappings().all()
    host.users.deactivate(user.id, until=clock.now + timedelta(minutes=1), actor=ROOT)
    with host.engine.begin() as connection:  # a login that was in flight stores it only now
        connection.execute(pending_logins.insert(), dict(row))
    clock.forward(minutes=2)
    host.users.reactivate(user.id, actor=ROOT)
    with host.request(pending_token=login.pending_token) as request:
        assert request.logins.pending is None


@pytest.mark.parametrize("mode", ["none", "optional", "mandatory"])
def test_nobody_takes_the_address_of_an_invited_account(make_host, run, recorder, clock, mode):
    host = make_host(email_verification=mode)
    user = host.users.create(ANN, invite=True, actor=ROOT)
    clock.forward(days=8)
    host.users.invite(user.id, actor=ROOT)
    invitation = recorder.messages[-1].key
    recorder.messages.clear()
    with suppress(FlowError):
        run(host, "signup", email=ANN, password=PASSWORD)
    assert host.users.get(ANN).id == user.id
    assert [each.kind for each in recorder.messages if each.key] == []
    run(host, "reset_password", key=invitation, password=NEW)
    assert can_log_in(run, host, NEW)
    assert host.users.get(ANN).id == user.id


def test_a_signup_with_an_invited_address_is_like_any_taken_one(make_host, run, recorder):
    host = make_host(email_verification="mandatory")
    host.users.create(ANN, actor=ROOT)
    host.users.create(BOB, verified=True, actor=ROOT)
    recorder.messages.clear()
    results = [run(host, "signup", email=each, password=PASSWORD) for each in (ANN, BOB)]
    assert [each.waits_for for each in results] == ["email_verification"] * 2
    assert [each.kind for each in recorder.messages] == ["signup_existing_account"] * 2


def test_a_second_required_reset_ends_sessions_of_other_methods(host, ann):
    host.users.require_reset(ann.id, actor=ROOT)
    with host.request() as request:
        request.logins.log_in(ann.id, method="sign", factors=("possession",))
    assert len(host.users.read(ann.id).sessions) == 1
    host.users.require_reset(ann.id, actor=ROOT)
    assert host.users.read(ann.id).sessions == ()


def test_a_required_reset_ends_the_sessions_of_an_account_without_a_password(host, ann, recorder):
    host.users.remove_password(ann.id, actor=ROOT)
    with host.request() as request:
        request.logins.log_in(ann.id, method="sign", factors=("possession",))
    recorder.calls.clear()
    host.users.require_reset(ann.id, actor=ROOT)
    assert names(recorder) == ["session_ended"]


def test_a_password_that_needs_a_reset_proves_nothing_at_a_confirmation(make_host, run, recorder):
    host = make_host(email_verification="optional")
    run(host, "signup", email=ANN, password=PASSWORD)
    key, user = recorder.key(), host.users.get(ANN)
    stored = host.services.passwords
    with host.engine.begin() as connection:
        hashed = connection.execute(select(users.c.password)).scalar_one()
        connection.execute(users.update().values(password=stored.require_reset(hashed)))
    with host.request() as request:
        code = code_of(host.account.confirm_email, request, key=key, password=PASSWORD)
    assert code == "password_reset_required"
    assert not host.users.read(user.id).user.email_verified
