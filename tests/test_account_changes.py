"""``request.account`` and ``request.accounts``: what plugins read and change of any account."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
from datetime import UTC, datetime
from typing import ClassVar

import pytest
from authhost_hookspecs import Change, FlowError, Refused, hookimpl
from conftest import PASSWORD, Everything
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, Uuid, select

from authhost.errors import ReauthenticationRequired, RequiredPluginFailed, Vetoed
from authhost.store.tables import addresses, metadata, sessions, users

ANN, BOB, WORK = "ann@example.org", "bob@example.org", "ann@work.example.org"


@pytest.fixture
def recorder():
    return Everything()


class Changed:
    """Records each call of `before_change`; refuses the given kinds."""

    def __init__(self, *refused):
        self.changes, self.refused = [], refused

    @hookimpl
    def before_change(self, request, user, change):
        self.changes.append(change)
        if change.kind in self.refused:
            raise Refused("managed", "Your company manages this account.")

    @property
    def kinds(self):
        return [each.kind for each in self.changes]


@pytest.fixture
def changed():
    return Changed()


@pytest.fixture
def host(make_host, changed):
    return make_host({"changed": changed}, email_verification="none", store_social_tokens=False)


@pytest.fixture
def ann(host, run, recorder, changed):
    """Signed up with an unverified address."""
    login = run(host, "signup", email=ANN, password=PASSWORD)
    recorder.calls.clear()
    changed.changes.clear()
    return login


@pytest.fixture
def change(host):
    """Make one change in a unit of its own: ``change("verify_email", user_id, email)``."""

    def change(name, /, *args, token=None, **values):
        with host.request(session_token=token) as request:
            return getattr(request.accounts, name)(*args, **values)

    return change


def names(recorder):
    return [call[0] for call in recorder.calls]


def refusals_of(recorder):
    """Return flow, code and user of each recorded call, which must be one of `flow_refused`."""
    assert set(names(recorder)) <= {"flow_refused"}
    refused = [values for _, values in recorder.calls]
    return [(each["flow"], each["error"].code, each["user"].id if each["user"] else None) for each in refused]


def code_of(function, *args, **values):
    with pytest.raises(FlowError) as raised:
        function(*args, **values)
    return raised.value.code


# The snapshot.


def test_account_is_a_frozen_snapshot(host, ann, change):
    change("add_email", ann.user.id, WORK, verified=True)
    with host.request() as request:
        account = request.account(ann.user.id)
    assert account.user.email == ANN
    assert [(each.email, each.verified, each.primary) for each in account.email_addresses] == [
        (ANN, False, True),
        (WORK, True, False),
    ]
    assert account.social_accounts == ()
    assert [each.user_id for each in account.sessions] == [ann.user.id]
    change("remove_email", ann.user.id, WORK)
    assert len(account.email_addresses) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        account.user = None


def test_account_has_no_session_that_has_expired(host, ann, clock):
    assert len(host.account(ann.user.id).sessions) == 1
    clock.forward(seconds=host.settings.session_idle + 1)
    assert host.account(ann.user.id).sessions == ()


def test_host_account_reads_an_account_and_still_has_the_flows(host, ann):
    assert host.account(ann.user.id).user.id == ann.user.id
    assert host.account(host.new_id()) is None
    assert callable(host.account.login)


# Each change and its hooks.


def test_add_email(change, ann, recorder, changed):
    address = change("add_email", ann.user.id, "Ann@Work.example.org")
    assert (address.email, address.verified, address.primary) == (WORK, False, False)
    assert names(recorder) == ["email_added"]
    assert changed.changes == [Change("add_email", email=WORK, administrative=True)]
    assert change("add_email", ann.user.id, WORK) == address
    assert names(recorder) == ["email_added"]


def test_add_a_verified_email(host, change, ann, recorder, changed):
    address = change("add_email", ann.user.id, WORK, verified=True)
    assert address.verified
    assert names(recorder) == ["email_added", "email_confirmed"]
    assert changed.kinds == ["add_email", "verify_email"]
    with host.request() as request:
        assert request.user_by_email(WORK).id == ann.user.id


def test_add_email_verifies_one_that_the_account_has(change, ann, recorder, changed):
    assert change("add_email", ann.user.id, ANN, verified=True).verified
    assert names(recorder) == ["email_confirmed"]
    assert changed.kinds == ["verify_email"]


def test_first_address_of_an_account_becomes_primary_when_it_is_verified(host, change, ann, changed):
    with host.engine.begin() as connection:
        connection.execute(addresses.delete())
    address = change("add_email", ann.user.id, WORK, verified=True)
    assert address.primary
    assert host.account(ann.user.id).user.email == WORK
    assert changed.kinds == ["add_email", "verify_email", "make_primary"]


def test_verify_email_completes_a_signup(make_host, run, recorder):
    host = make_host(email_verification="mandatory")
    run(host, "signup", email=ANN, password=PASSWORD)
    (user_id,) = _user_ids(host)
    recorder.calls.clear()
    for _ in range(2):
        with host.request() as request:
            assert request.accounts.verify_email(user_id, ANN).verified
    assert names(recorder) == ["email_confirmed", "account_ready"]
    assert run(host, "login", identifier=ANN, password=PASSWORD).authenticated


def test_one_account_has_verified_an_address(host, run, change, ann):
    bob = run(host, "signup", email=BOB, password=PASSWORD).user
    change("add_email", ann.user.id, WORK, verified=True)
    assert code_of(change, "add_email", bob.id, WORK, verified=True) == "email_taken"
    assert [each.email for each in host.account(bob.id).email_addresses] == [BOB]


def test_make_primary_and_remove(host, change, ann, recorder, changed):
    change("add_email", ann.user.id, WORK, verified=True)
    assert code_of(change, "remove_email", ann.user.id, ANN) == "primary_email_required"
    recorder.calls.clear()
    changed.changes.clear()
    assert change("make_primary", ann.user.id, WORK).primary
    change("make_primary", ann.user.id, WORK)
    assert code_of(change, "make_primary", ann.user.id, ANN) == "email_not_verified"
    change("remove_email", ann.user.id, ANN)
    assert names(recorder) == ["email_changed", "flow_refused", "email_removed"]
    assert changed.kinds == ["make_primary", "remove_email"]
    assert host.account(ann.user.id).user.email == WORK


def test_remove_password_ends_the_other_sessions(host, run, change, ann, recorder):
    other = run(host, "login", identifier=ANN, password=PASSWORD)
    recorder.calls.clear()
    with host.request(session_token=ann.session_token) as request:
        request.accounts.remove_password(ann.user.id)
        request.accounts.remove_password(ann.user.id)
        assert request.user is not None
        assert not request.user.has_usable_password
    assert names(recorder) == ["session_ended", "password_removed"]
    assert recorder.calls[0][1]["reason"] == "password_removed"
    assert not recorder.calls[1][1]["user"].has_usable_password
    assert _is_logged_in(host, ann)
    assert not _is_logged_in(host, other)
    assert code_of(run, host, "login", identifier=ANN, password=PASSWORD) == "invalid_credentials"


def test_end_sessions(host, change, ann, recorder):
    assert change("end_sessions", ann.user.id) == 1
    assert change("end_sessions", ann.user.id) == 0
    assert names(recorder) == ["session_ended"]
    assert not _is_logged_in(host, ann)


def test_end_sessions_of_the_own_account_is_a_logout(host, ann, recorder):
    with host.request(session_token=ann.session_token) as request:
        assert request.accounts.end_sessions(ann.user.id) == 1
        assert request.user is None
        assert request.session is None
    assert names(recorder) == ["user_logged_out", "session_ended"]


def test_deactivate_and_reactivate(host, run, change, ann, recorder, changed):
    for _ in range(2):
        change("deactivate", ann.user.id)
    assert names(recorder) == ["session_ended", "user_deactivated"]
    assert not host.account(ann.user.id).user.is_active
    assert code_of(run, host, "login", identifier=ANN, password=PASSWORD) == "invalid_credentials"
    recorder.calls.clear()
    for _ in range(2):
        change("reactivate", ann.user.id)
    assert names(recorder) == ["user_reactivated"]
    assert changed.kinds == ["deactivate", "reactivate"]
    assert not _is_logged_in(host, ann)
    assert run(host, "login", identifier=ANN, password=PASSWORD).authenticated


def test_delete(host, run, change, ann, recorder):
    run(host, "signup", email=BOB, password=PASSWORD)
    recorder.calls.clear()
    change("delete", ann.user.id)
    assert names(recorder) == ["session_ended", "user_deleted"]
    assert recorder.calls[0][1]["reason"] == "deleted"
    assert recorder.calls[1][1]["user"].email == ANN
    assert host.account(ann.user.id) is None
    with host.engine.connect() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(select(table)).mappings():
                assert ann.user.id not in (row.get("user_id"), row.get("id"))
    assert code_of(change, "delete", ann.user.id) == "user_not_found"


def test_delete_logs_out_the_request(host, ann, recorder):
    with host.request(session_token=ann.session_token) as request:
        request.accounts.delete(ann.user.id)
        assert request.user is None
    assert names(recorder) == ["user_logged_out", "session_ended", "user_deleted"]


def test_delete_is_refused_while_a_table_refers_to_the_account(host, change, ann):
    other = Table(
        "shop_order",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("user_id", Uuid(), ForeignKey(users.c.id)),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    other.create(host.engine)
    with host.engine.begin() as connection:
        connection.execute(other.insert().values(user_id=ann.user.id))
    try:
        assert code_of(change, "delete", ann.user.id) == "conflict"
        assert _is_logged_in(host, ann)
    finally:
        other.drop(host.engine)


class Sessions:
    """Queues a row for each session that ends, and deletes the rows of a deleted account."""

    def __init__(self):
        self.ended = Table(
            "sessions_ended", MetaData(), Column("id", Uuid(), primary_key=True), Column("user_id", Uuid())
        )

    @hookimpl
    def session_ended(self, request, session):
        request.insert(self.ended, {"id": session.id, "user_id": session.user_id})

    @hookimpl
    def user_deleted(self, request, user):
        request.db.execute(self.ended.delete().where(self.ended.c.user_id == user.id))


def test_rows_that_a_deletion_queues_are_there_when_they_are_deleted(make_host, run):
    plugin = Sessions()
    host = make_host({"sessions": plugin})
    plugin.ended.create(host.engine)
    try:
        ann, bob = (run(host, "signup", email=email, password=PASSWORD) for email in (ANN, BOB))
        with host.request() as request:
            request.accounts.end_sessions(bob.user.id)
            request.accounts.delete(ann.user.id)
        with host.engine.connect() as connection:
            assert connection.execute(select(plugin.ended.c.user_id)).scalars().all() == [bob.user.id]
    finally:
        plugin.ended.drop(host.engine)


def test_rows_that_were_queued_before_the_deletion_are_deleted_too(make_host, run):
    plugin = Sessions()
    host = make_host({"sessions": plugin})
    plugin.ended.create(host.engine)
    try:
        ann = run(host, "signup", email=ANN, password=PASSWORD)
        with host.request() as request:
            request.accounts.end_sessions(ann.user.id)
            request.accounts.delete(ann.user.id)
        with host.engine.connect() as connection:
            assert connection.execute(select(plugin.ended.c.user_id)).all() == []
    finally:
        plugin.ended.drop(host.engine)


def test_rows_that_were_queued_before_a_refused_deletion_are_stored(make_host, run):
    class Required:
        @hookimpl
        def user_deleted(self, request):
            raise ValueError

    plugin = Sessions()
    host = make_host({"sessions": plugin, "required": Required()}, required_plugins=["required"])
    plugin.ended.create(host.engine)
    try:
        ann, bob = (run(host, "signup", email=email, password=PASSWORD) for email in (ANN, BOB))
        with host.request() as request:
            request.accounts.end_sessions(bob.user.id)
            with pytest.raises(RequiredPluginFailed):
                request.accounts.delete(ann.user.id)
        with host.engine.connect() as connection:
            assert connection.execute(select(plugin.ended.c.user_id)).scalars().all() == [bob.user.id]
    finally:
        plugin.ended.drop(host.engine)


UNKNOWN = ["end_sessions", "deactivate", "reactivate", "delete", "export", "remove_password"]


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_account_is_refused(host, change, name):
    assert code_of(change, name, host.new_id()) == "user_not_found"
    assert code_of(change, name, "ann") == "invalid_input"


# Refusals by `before_change`.

VETOED = {
    "add_email": (WORK,),
    "verify_email": (ANN,),
    "remove_password": (),
    "end_sessions": (),
    "deactivate": (),
    "delete": (),
}


@pytest.mark.parametrize("name", VETOED)
def test_before_change_refuses_an_administrative_change(host, change, ann, changed, recorder, name):
    changed.refused = (name,)
    before = host.account(ann.user.id)
    with pytest.raises(Vetoed, match="company") as raised:
        change(name, ann.user.id, *VETOED[name])
    assert raised.value.fields["plugin_code"] == "managed"
    assert host.account(ann.user.id) == before
    assert refusals_of(recorder) == [(f"accounts_{name}", "vetoed", ann.user.id)]


def test_before_change_refuses_the_verification_of_an_added_address_before_it_is_added(
    change, ann, changed, recorder
):
    changed.refused = ("verify_email",)
    assert code_of(change, "add_email", ann.user.id, WORK, verified=True) == "vetoed"
    assert refusals_of(recorder) == [("accounts_add_email", "vetoed", ann.user.id)]


@pytest.mark.parametrize(
    ("name", "arguments", "code", "known"),
    [
        ("add_email", ("ann@",), "invalid_email", True),
        ("verify_email", (BOB,), "email_not_found", True),
        ("make_primary", (BOB,), "email_not_found", True),
        ("remove_email", (ANN,), "primary_email_required", True),
        ("delete", (), "user_not_found", False),
        ("export", (), "user_not_found", False),
    ],
)
def test_every_refused_change_of_an_administrator_calls_flow_refused(
    host, run, change, ann, recorder, name, arguments, code, known
):
    """The user is that of the account, also if somebody else is logged in."""
    admin = run(host, "signup", email=BOB, password=PASSWORD)
    recorder.calls.clear()
    user_id = ann.user.id if known else host.new_id()
    assert code_of(change, name, user_id, *arguments, token=admin.session_token) == code
    assert refusals_of(recorder) == [(f"accounts_{name}", code, user_id if known else None)]


def test_the_record_of_a_refused_change_is_stored_if_the_application_fails_later(host, ann, recorder):
    with pytest.raises(ZeroDivisionError), host.request() as request:
        request.accounts.add_email(ann.user.id, WORK)
        with pytest.raises(FlowError):
            request.accounts.remove_email(ann.user.id, ANN)
        raise ZeroDivisionError
    assert names(recorder) == ["email_added", "flow_refused", "flow_refused"]  # again, after the rollback
    assert [each.email for each in host.account(ann.user.id).email_addresses] == [ANN]


def test_a_refused_change_does_not_show_the_identifier_of_an_earlier_flow(make_host, run):
    class Sees:
        digests: ClassVar[list[str]] = []

        @hookimpl
        def flow_refused(self, request):
            self.digests.append(request.identifier_digest)

    host = make_host({"sees": Sees()}, email_verification="none")
    user = run(host, "signup", email=ANN, password=PASSWORD).user
    with host.request() as request:
        host.account.request_password_reset(request, email=BOB)
        digest = request.identifier_digest
        with pytest.raises(FlowError):
            request.accounts.remove_email(user.id, ANN)
        assert (Sees.digests, request.identifier_digest) == ([None], digest)


def test_a_change_that_a_hook_makes_is_refused_without_flow_refused(make_host, run, recorder):
    """The hook decides what its refusal means: it may expect it."""

    class Adds:
        codes: ClassVar[list[str]] = []

        @hookimpl
        def user_logged_in(self, request, user):
            self.codes.append(code_of(request.accounts.remove_email, user.id, ANN))

    host = make_host({"adds": Adds()}, email_verification="none")
    run(host, "signup", email=ANN, password=PASSWORD)
    assert Adds.codes == ["primary_email_required"]
    assert "flow_refused" not in names(recorder)


FLOWS = {
    "add_email": ("add_email", {"email": BOB}),
    "remove_email": ("remove_email", {"email": WORK}),
    "make_primary": ("make_primary", {"email": WORK}),
    "change_password": ("change_password", {"current_password": PASSWORD, "new_password": PASSWORD + "!"}),
    "end_sessions": ("end_other_sessions", {}),
    "deactivate": ("deactivate", {}),
}


@pytest.mark.parametrize("kind", FLOWS)
def test_before_change_refuses_a_flow_of_the_user(host, run, change, ann, changed, recorder, kind):
    change("add_email", ann.user.id, WORK, verified=True)
    changed.changes.clear()
    recorder.calls.clear()
    changed.refused = (kind,)
    before = host.account(ann.user.id)
    flow, values = FLOWS[kind]
    with pytest.raises(Vetoed):
        run(host, flow, ann.session_token, **values)
    assert host.account(ann.user.id) == before
    ((name, values),) = recorder.calls
    assert (name, values["user"].id, values["flow"]) == ("flow_refused", ann.user.id, flow)
    assert changed.changes == [Change(kind, email=changed.changes[0].email)]


def test_before_change_refuses_a_confirmation_and_a_reset_and_the_link_still_works(make_host, run, recorder):
    changed = Changed("verify_email", "reset_password")
    host = make_host({"changed": changed}, email_verification="mandatory")
    run(host, "signup", email=ANN, password=PASSWORD)
    confirmation = recorder.key()
    run(host, "request_password_reset", email=ANN)
    reset = recorder.key()
    for flow, values in (
        ("confirm_email", {"key": confirmation}),
        ("reset_password", {"key": reset, "password": PASSWORD}),
    ):
        recorder.calls.clear()
        with pytest.raises(Vetoed):
            run(host, flow, **values)
        (refused,) = [values for name, values in recorder.calls if name == "flow_refused"]
        assert refused["user"].email == ANN
    changed.refused = ()
    run(host, "reset_password", key=reset, password=PASSWORD)
    assert changed.kinds[-2:] == ["reset_password", "verify_email"]


def test_a_change_is_not_limited_by_the_age_of_the_login(host, run, change, ann, clock):
    clock.forward(hours=1)
    with pytest.raises(ReauthenticationRequired):
        run(host, "add_email", ann.session_token, email=WORK)
    change("add_email", ann.user.id, WORK, token=ann.session_token)


# The export.


class Exports:
    def __init__(self, result):
        self.result = result

    @hookimpl
    def export_user(self, user):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def test_export(make_host, run):
    host = make_host(
        {"one": Exports({"rows": [1, ("a", None)]}), "two": Exports({})}, email_verification="none"
    )
    ann = run(host, "signup", email=ANN, password=PASSWORD)
    with host.request() as request:
        found = request.accounts.export(ann.user.id)
    assert found["plugins"] == {"one": {"rows": [1, ["a", None]]}, "two": {}}
    assert found["account"]["email_addresses"] == [{"email": ANN, "verified": False, "primary": True}]
    assert found["account"]["sessions"][0]["method"] == "password"
    text = json.dumps(found)
    with host.engine.connect() as connection:
        assert connection.execute(select(users.c.password)).scalar_one() not in text
        assert connection.execute(select(sessions.c.token_digest)).scalar_one().hex() not in text
    assert ann.session_token not in text


@pytest.mark.parametrize(
    "result",
    [ValueError("s3cret"), ["a list"], {"a": object()}, {"a": float("nan")}, "text"],
    ids=["raises", "list", "object", "nan", "text"],
)
def test_an_export_that_fails_names_the_plugin(make_host, run, caplog, result):
    caplog.set_level(logging.ERROR)
    host = make_host({"one": Exports(result), "two": Exports({})}, email_verification="none")
    ann = run(host, "signup", email=ANN, password=PASSWORD)
    with host.request() as request, pytest.raises(FlowError) as raised:
        request.accounts.export(ann.user.id)
    assert (raised.value.code, raised.value.fields) == ("export_failed", {"plugin": "one"})
    assert "plugin one failed in export_user" in caplog.text
    assert "s3cret" not in caplog.text
    assert host.plugin_stats()["one", "export_user"].failures == 1


def _token(recorder):
    return next(each["sociallogin"].token.reveal() for _, each in recorder.calls if "sociallogin" in each)


def _user_ids(host):
    with host.engine.connect() as connection:
        return connection.execute(select(users.c.id)).scalars().all()


def _is_logged_in(host, login):
    with host.request(session_token=login.session_token) as request:
        return request.user is not None


# Connections and tokens.


@pytest.fixture
def social(make_host, changed, scripted, clock):
    clock.now = datetime.now(UTC)
    app = {"provider": "openid_connect", "server": scripted.url, "client_id": "site", "trust_emails": True}
    return make_host(
        {"changed": changed},
        providers={"corp": {"client_secret": "of-the-site", "login_by_email": True, **app}},
        store_social_tokens=True,
        email_verification="none",
    )


def test_stored_token_is_decrypted_when_it_is_revealed(social, arrive, scripted, recorder):
    user = arrive(social, "corp", scripted.agree).login.user
    account = social.account(user.id)
    (connection,) = account.social_accounts
    token = account.social_token(connection)
    assert token.reveal() == _token(recorder)
    assert token.reveal_secret() is None
    assert token.reveal() not in repr(account) + repr(token)
    assert account.social_token(dataclasses.replace(connection, id=social.new_id())) is None


def test_what_refers_to_keys_cannot_be_pickled_or_copied(social, arrive, scripted, recorder):
    user = arrive(social, "corp", scripted.agree).login.user
    account = social.account(user.id)
    sociallogin = next(args["sociallogin"] for _, args in recorder.calls if "sociallogin" in args)
    with social.request() as request:
        own = (request, request.accounts, request.answer)
    services = social.services
    keys = (services, services.encryption, services.digests, services.devices, social)
    token = account.social_token(account.social_accounts[0])
    for each in (account, token, sociallogin, sociallogin.token, *own, *keys):
        for use in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match=f"a {type(each).__name__} refers to secrets"):
                use(each)
    for each in (user, *account.email_addresses, *account.sessions):
        assert pickle.loads(pickle.dumps(each)) == each


def test_export_and_deletion_of_connections(social, arrive, scripted, recorder):
    user = arrive(social, "corp", scripted.agree).login.user
    token = _token(recorder)
    with social.request() as request:
        data = request.accounts.export(user.id)["account"]
        assert [each["provider"] for each in data["social_accounts"]] == ["corp"]
        assert token not in json.dumps(data)
    recorder.calls.clear()
    with social.request() as request:
        request.accounts.delete(user.id)
    assert names(recorder) == ["session_ended", "social_account_removed", "user_deleted"]
    assert arrive(social, "corp", scripted.agree).login.user.id != user.id


def test_before_change_refuses_connections(social, run, arrive, scripted, changed, recorder):
    changed.refused = ("connect",)
    email = scripted.claims["email"]
    login = run(social, "signup", email=email, password=PASSWORD)
    with social.request() as request:
        request.accounts.verify_email(login.user.id, email)
    for token, process in ((login.session_token, "connect"), (None, "login")):
        changed.changes.clear()
        recorder.calls.clear()
        with pytest.raises(Vetoed):
            arrive(social, "corp", scripted.agree, token, process=process)
        assert changed.changes == [Change("connect", provider="corp")]
        (refused,) = [values for name, values in recorder.calls if name == "flow_refused"]
        assert refused["user"].id == login.user.id
    assert social.account(login.user.id).social_accounts == ()


def test_before_change_refuses_to_disconnect(social, run, arrive, scripted, changed):
    login = run(social, "signup", email=ANN, password=PASSWORD)
    connected = arrive(social, "corp", scripted.agree, login.session_token, process="connect").account
    changed.refused = ("disconnect",)
    with social.request(session_token=login.session_token) as request, pytest.raises(Vetoed):
        social.socialaccount.disconnect(request, account_id=connected.id)
    assert len(social.account(login.user.id).social_accounts) == 1


class Connects:
    """Connects every social login to one user."""

    def __init__(self):
        self.user = None

    @hookimpl
    def pre_social_login(self, request, sociallogin):
        if self.user is not None and not sociallogin.is_existing:
            sociallogin.connect(request, self.user)


def test_before_change_names_the_plugin_that_connects(make_host, run, arrive, scripted, changed, clock):
    clock.now = datetime.now(UTC)
    app = {"provider": "openid_connect", "server": scripted.url, "client_id": "site", "client_secret": "s"}
    connects = Connects()
    host = make_host(
        {"changed": changed, "connects": connects}, providers={"corp": app}, email_verification="none"
    )
    connects.user = run(host, "signup", email=ANN, password=PASSWORD).user
    arrive(host, "corp", scripted.agree)
    assert changed.changes == [Change("connect", provider="corp", plugin="connects")]
    assert len(host.account(connects.user.id).social_accounts) == 1


# Within the flow of another user.


class VerifiesBob:
    """Verifies the address of Bob when Ann logs in."""

    def __init__(self):
        self.bob, self.seen = None, []

    @hookimpl
    def user_logged_in(self, request, user):
        if user.email == ANN and self.bob is not None:
            request.accounts.verify_email(self.bob, BOB)
            self.seen.append(dict(request.given))

    @hookimpl
    def account_ready(self, request, user):
        self.seen.append(dict(request.given))


def test_a_change_does_not_mix_what_two_signups_were_given(make_host, run, recorder):
    verifies = VerifiesBob()
    host = make_host({"verifies": verifies}, email_verification="mandatory")
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    run(host, "confirm_email", token, key=recorder.key())
    with host.request(given={"invitation": "of-bob"}) as request:
        host.account.signup(request, email=BOB, password=PASSWORD)
    verifies.bob = next(each for each in _user_ids(host) if host.account(each).user.email == BOB)
    verifies.seen.clear()
    with host.request(given={"campaign": "of-ann"}) as request:
        host.account.login(request, identifier=ANN, password=PASSWORD)
    ready, after = verifies.seen
    assert ready["invitation"] == "of-bob"
    assert after == {"campaign": "of-ann"}
