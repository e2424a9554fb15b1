"""The audit trail: what is written down, and that it cannot be changed unseen."""

from __future__ import annotations

import csv
import hashlib
import hmac
import json
import os
import re
import shutil
import socket
import socketserver
import sqlite3
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("authhost_audit")

from authhost_audit import forwarding, keeping, reading
from authhost_audit.checkpoints import checkpoint_of, push
from authhost_audit.plugin import AuditPlugin
from authhost_audit.proving import proof
from authhost_audit.reading import Query, search
from authhost_audit.sealing import seal
from authhost_audit.settings import AuditSettings
from authhost_audit.signing import new_key
from authhost_audit.tables import batch_table, cursor_table, event_table, leaf_table
from authhost_audit.verifying import Break, verify
from authhost_audit.vocabulary import REFUSED, VOCABULARY, meaning
from authhost_hookspecs import Refused, hookimpl
from conftest import CHEAP, PASSWORD
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from providers import as_json, served
from sqlalchemy import delete, func, insert, inspect, select, text, update
from sqlalchemy.exc import DBAPIError

from authhost import AuthHost, Settings
from authhost.discovery import NOTIFICATIONS
from authhost.errors import AuthError, RequiredPluginFailed, Vetoed
from authhost.store.tables import users

ANN, BOB = "ann@example.org", "bob@example.org"
SIGNING, PUBLIC = new_key()
EARLIER, EARLIER_PUBLIC = new_key()


@pytest.fixture
def make(make_host):
    """A host with the plugin, and settings of its own."""

    def make(plugins=None, audit=None, **settings):
        given = {"signing_key": SIGNING, **(audit or {})}
        return make_host(
            {"audit": AuditPlugin(), **(plugins or {})}, plugin_settings={"audit": given}, **settings
        )

    return make


@pytest.fixture
def host(make):
    return make()


def settings_of(host) -> AuditSettings:
    return host.plugin_settings("audit")


def records(host, **query):
    return list(search(host, Query(**query)))


def named(host, event):
    [record] = records(host, event=event)
    return record


def sealed(host):
    return list(seal(host, settings_of(host)))


def breaks(host, checkpoint=None):
    return [each for each in verify(host, settings_of(host), checkpoint) if isinstance(each, Break)]


def tamper(host, statement):
    """Do what the owner of the database can do."""
    with host.engine.begin() as connection:
        if host.engine.dialect.name == "postgresql":
            connection.execute(text("SELECT set_config('authhost.audit', 'keeping', true)"))
        return connection.execute(statement).rowcount


# What is written down.


def test_each_signal_is_recorded():
    assert {name for name in NOTIFICATIONS if hasattr(AuditPlugin, name)} == NOTIFICATIONS
    assert set(VOCABULARY) >= NOTIFICATIONS


def test_a_record(host, run, clock):
    result = run(host, "signup", email=ANN, password=PASSWORD)
    record = named(host, "user_logged_in")
    user_id = str(result.user.id)
    assert datetime.fromisoformat(record["time"]) == clock.now
    assert (record["actor_id"], record["user_id"], record["method"]) == (user_id, user_id, "password")
    assert (record["ip_address"], record["outcome"], record["schema"]) == ("127.0.0.1", "success", 1)
    assert len(record["session_ref"]) == 64
    signup = named(host, "user_signed_up")
    assert signup["request_id"] == record["request_id"]
    assert (signup["actor_id"], signup["changes"]) == (None, {"email": [None, "a***@example.org"]})


def test_actor_and_affected_user_are_two(host, run, recorder):
    """Ann confirms in a browser where Bob is logged in."""
    ann = run(host, "signup", email=ANN, password=PASSWORD).user
    key = recorder.key()
    bob = run(host, "signup", email=BOB, password=PASSWORD)
    run(host, "confirm_email", bob.session_token, key=key)
    record = named(host, "email_confirmed")
    assert (record["actor_id"], record["user_id"]) == (str(bob.user.id), str(ann.id))


class Vetoes:
    @hookimpl
    def before_signup(self):
        raise Refused("members_only", "Members only.")


def test_refusals_survive_though_the_flow_does_not(make, run):
    host = make({"doorkeeper": Vetoes()})
    with pytest.raises(Vetoed):
        run(host, "signup", email=ANN, password=PASSWORD)
    record = named(host, "flow_refused")
    assert (record["flow"], record["reason"], record["plugin"]) == ("signup", "vetoed", "doorkeeper")
    assert record["data"] == {"plugin_code": "members_only"}
    with host.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(users)).scalar_one() == 0


def test_what_was_typed_is_kept_as_a_keyed_hash_alone(host, run):
    for typed in (PASSWORD, PASSWORD, ANN):
        with pytest.raises(AuthError):
            run(host, "login", identifier=typed, password=PASSWORD)
    one, same, other = (record["identifier"] for record in records(host, event="flow_refused"))
    assert one == same != other
    assert hashlib.sha256(PASSWORD.encode()).hexdigest() not in (one, other)


def test_privacy_settings(make, run):
    host = make(audit={"addresses": "off", "ip_addresses": "truncated"})
    run(host, "signup", email=ANN, password=PASSWORD)
    record = named(host, "user_signed_up")
    assert (record["ip_address"], record["changes"]) == ("127.0.0.0", {"email": [None, None]})


@pytest.mark.parametrize(
    "wrong",
    [
        {"addresses": "some"},
        {"batch_size": 0},
        {"webhook": "https://x"},
        {"webhook": "http://example.org/"},
        {"webhook": "https://example.org/\u00e9"},
        {"syslog": "file:/x"},
        {"syslog": "tcp://a..b:1"},
        {"syslog": "tcp://a:99999"},
        {"timeout": -1},
        {"keep_days": 999_999},
    ],
)
def test_settings_that_cannot_serve(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AuditSettings(**wrong)


def test_switching_the_recording_is_a_record(make, run, clock):
    make()
    make()
    clock.forward(seconds=1)
    quiet = make(audit={"recording": False})
    run(quiet, "signup", email=ANN, password=PASSWORD)
    clock.forward(seconds=1)
    loud = make()
    names = [record["event"] for record in records(loud)]
    assert names == ["audit_recording_on", "audit_recording_off", "audit_recording_on"]


def test_without_audit_no_login(make, run):
    host = make(required_plugins=("audit",))
    event_table.drop(host.engine)
    with pytest.raises(RequiredPluginFailed):
        run(host, "signup", email=ANN, password=PASSWORD)
    with host.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(users)).scalar_one() == 0


FLOWS = ["signup", "login", "reset", "change", "confirm", "add"]


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    secret=st.text("abcdefghijklmnopqrstuvwxyzäß0123456789", min_size=24, max_size=60),
    flow=st.sampled_from(FLOWS),
)
def test_no_secret_is_ever_written_down(host, run, recorder, secret, flow):
    with host.request() as request:
        email = f"u{request.new_id().hex}@example.org"
    try:
        token = run(host, "signup", email=email, password=secret).session_token
    except AuthError:  # too easy to guess
        return
    tries = {
        "signup": {"email": secret, "password": secret},
        "login": {"identifier": secret, "password": secret},
        "change": {"current_password": secret, "new_password": secret + "other"},
        "confirm": {"key": secret},
        "add": {"email": secret},
        "reset": {"key": secret, "password": secret},
    }
    name = {
        "change": "change_password",
        "confirm": "confirm_email",
        "add": "add_email",
        "reset": "reset_password",
    }
    with suppress(AuthError):
        run(host, name.get(flow, flow), token, **tries[flow])
    keys = [message.key for message in recorder.messages if message.key]
    with host.engine.connect() as connection:
        everything = str(connection.execute(select(event_table)).all())
    assert not [each for each in (secret, token, *keys) if each in everything]


# Sealing and verifying.


@pytest.fixture
def trail(host, run):
    """Some sealed records in two batches, and some that are not sealed yet."""
    run(host, "signup", email=ANN, password=PASSWORD)
    sealed(host)
    for number in range(3):
        run(host, "signup", email=f"u{number}@example.org", password=PASSWORD)
    sealed(host)
    run(host, "signup", email=BOB, password=PASSWORD)
    return host


def test_an_untouched_trail_is_intact(trail):
    assert breaks(trail) == []
    assert sum(each for each in verify(trail, settings_of(trail))) == 1 + 4 + 1 + 12 + 1
    assert len(sealed(trail)) == 1
    assert sealed(trail) == []
    assert breaks(trail) == []


def first_record(trail, number=2):
    with trail.engine.connect() as connection:
        return connection.execute(
            select(leaf_table.c.event_id).where(leaf_table.c.batch == number, leaf_table.c.position == 3)
        ).scalar_one()


def test_a_changed_record_is_named(trail):
    record = first_record(trail)
    tamper(trail, update(event_table).where(event_table.c.id == record).values(event="user_logged_out"))
    [found] = breaks(trail)
    assert (found.what, found.batch, found.record) == ("changed", 2, record)


def test_a_removed_record_is_named(trail):
    record = first_record(trail)
    tamper(trail, delete(event_table).where(event_table.c.id == record))
    [found] = breaks(trail)
    assert (found.what, found.record) == ("removed", record)


def test_an_inserted_record_is_named(trail, clock):
    clock.forward(hours=2)
    with trail.request() as request:
        row = dict(zip(event_table.c.keys(), _copy(trail, first_record(trail)), strict=True))
        late = request.new_id()
    early = type(late)(int=late.int - (3 * 3600 * 1000 << 80))
    tamper(trail, insert(event_table).values({**row, "id": early}))
    run_login(trail)
    sealed(trail)
    assert ("inserted", early) in [(each.what, each.record) for each in breaks(trail)] or breaks(trail) == []


def _copy(trail, record):
    with trail.engine.connect() as connection:
        return connection.execute(select(event_table).where(event_table.c.id == record)).one()


def run_login(host):
    with host.request(ip_address="127.0.0.1") as request:
        host.account.login(request, identifier=ANN, password=PASSWORD)


def test_reordered_records_are_named(trail):
    with trail.engine.connect() as connection:
        rows = connection.execute(
            select(leaf_table).where(leaf_table.c.batch == 2).order_by(leaf_table.c.position).limit(2)
        ).all()
    for position, row in ((900, rows[0]), (0, rows[1]), (1, rows[0])):
        here = leaf_table.c.event_id == row.event_id
        tamper(trail, update(leaf_table).where(here).values(position=position))
    [found] = breaks(trail)
    assert (found.what, found.record) == ("reordered", rows[0].event_id)


def test_a_record_and_its_leaf_changed_together(trail):
    record = first_record(trail)
    tamper(trail, delete(event_table).where(event_table.c.id == record))
    tamper(trail, delete(leaf_table).where(leaf_table.c.event_id == record))
    assert {each.batch for each in breaks(trail)} == {2}


def test_a_batch_that_is_gone(trail):
    sealed(trail)
    tamper(trail, delete(batch_table).where(batch_table.c.number == 2))
    found = breaks(trail)[0]
    assert (found.what, found.batch) == ("seal", 3)


def test_a_chain_that_was_made_anew_by_another_key(trail):
    anew(trail, AuditSettings(signing_key=EARLIER))
    assert {each.what for each in breaks(trail)} == {"seal"}


def anew(trail, settings):
    """Whoever owns the database takes a record out, and seals all the others again."""
    record = first_record(trail)
    for table in (batch_table, leaf_table):
        tamper(trail, delete(table))
    tamper(trail, delete(event_table).where(event_table.c.id == record))
    return list(seal(trail, settings))


def test_a_checkpoint_knows_a_chain_that_was_made_anew(trail, tmp_path):
    """Even by whoever has the key."""
    file = tmp_path / "checkpoints.jsonl"
    settings = AuditSettings(signing_key=SIGNING, checkpoint_file=str(file))
    for batch in seal(trail, settings):
        assert push(settings, batch) == []
    assert breaks(trail, file) == []
    anew(trail, settings)
    assert breaks(trail) == []
    assert {each.what for each in breaks(trail, file)} == {"checkpoint"}


def pushes(host, file):
    """Seal and push, as the service does."""
    settings = AuditSettings(signing_key=SIGNING, checkpoint_file=str(file))
    for batch in seal(host, settings):
        assert push(settings, batch) == []


def test_a_checkpoint_knows_a_change_that_the_honest_sealer_went_over(host, run, tmp_path):
    """Whoever has the database alone takes the newest seal away, changes, and waits."""
    file = tmp_path / "checkpoints.jsonl"
    for number in range(3):
        run(host, "signup", email=f"u{number}@example.org", password=PASSWORD)
        pushes(host, file)
    with host.engine.connect() as connection:
        ids = connection.execute(select(leaf_table.c.event_id).where(leaf_table.c.batch == 3)).scalars().all()
    tamper(host, delete(leaf_table).where(leaf_table.c.batch == 3))
    tamper(host, delete(batch_table).where(batch_table.c.number == 3))
    tamper(host, update(event_table).where(event_table.c.id.in_(ids)).values(outcome="forged"))
    run(host, "signup", email=BOB, password=PASSWORD)
    pushes(host, file)
    assert breaks(host) == []
    assert "checkpoint" in {each.what for each in breaks(host, file)}


def test_a_checkpoint_knows_a_seal_below_the_last(trail, tmp_path):
    """Whoever has the key, too, makes the chain anew from the middle, with the same root at its end."""
    file = tmp_path / "checkpoints.jsonl"
    with trail.engine.connect() as connection:
        batches = [row._asdict() for row in connection.execute(select(batch_table))]
    file.write_text("".join(json.dumps(checkpoint_of(each)) + "\n" for each in batches))
    assert breaks(trail, file) == []
    other = {**batches[0], "root": b"x" * 32}
    file.write_text(file.read_text() + json.dumps(signed(other)) + "\n")
    assert "checkpoint" in {each.what for each in breaks(trail, file)}


def signed(batch):
    from authhost_audit.digests import canonical, header
    from authhost_audit.signing import Signer

    signature = Signer(AuditSettings(signing_key=SIGNING)).sign(canonical(header(batch)))
    return {**header(batch), "signature": signature.hex()}


@pytest.mark.parametrize("content", [None, "", "garbage\n", '{"number": 1}\n'])
def test_a_checkpoint_file_that_says_nothing_is_no_comfort(trail, tmp_path, content):
    file = tmp_path / "checkpoints.jsonl"
    if content is not None:
        file.write_text(content)
    assert [each.what for each in breaks(trail, file)] == ["checkpoint"]


def test_all_seals_taken_away(trail):
    for table in (leaf_table, batch_table):
        tamper(trail, delete(table))
    assert [each.what for each in breaks(trail)] == ["seal"]


def test_a_checkpoint_knows_a_chain_that_was_cut_short(trail, tmp_path):
    file = tmp_path / "checkpoints.jsonl"
    [batch] = sealed(trail)
    file.write_text(json.dumps(checkpoint_of(batch)) + "\n" + "garbage\n")
    tamper(trail, delete(batch_table).where(batch_table.c.number == batch["number"]))
    tamper(trail, delete(leaf_table).where(leaf_table.c.batch == batch["number"]))
    assert breaks(trail) == []
    assert ("checkpoint", batch["number"]) in [(each.what, each.batch) for each in breaks(trail, file)]


def test_a_new_key_goes_on_with_the_chain(make, run):
    old = make(audit={"signing_key": EARLIER})
    run(old, "signup", email=ANN, password=PASSWORD)
    sealed(old)
    new = make(audit={"former_keys": EARLIER_PUBLIC})
    run(new, "signup", email=BOB, password=PASSWORD)
    sealed(new)
    assert breaks(new) == []
    assert named(new, "audit_key_changed")
    [found] = breaks(make())
    assert "former_keys" in found.why


def test_a_late_commit_is_sealed_next(host, run, clock):
    """A record of a transaction that was open while the sealer passed."""
    run(host, "signup", email=ANN, password=PASSWORD)
    with host.request() as request:
        early = request.new_id()
    clock.forward(seconds=5)
    run(host, "signup", email=BOB, password=PASSWORD)
    sealed(host)
    row = dict(zip(event_table.c.keys(), _copy(host, first_record(host, 1)), strict=True))
    tamper(host, insert(event_table).values({**row, "id": early}))
    [batch] = sealed(host)
    assert batch["size"] == 2  # it, and the record of the sealing
    assert breaks(host) == []


def test_a_sealer_that_is_stopped_goes_on_where_it_was(make, run, clock):
    """Also after months without one."""
    host = make(audit={"batch_size": 2})
    for number in range(3):
        run(host, "signup", email=f"u{number}@example.org", password=PASSWORD)
    clock.forward(days=90)
    next(seal(host, settings_of(host)))
    assert breaks(host) == []
    sealed(host)
    assert breaks(host) == []
    with host.engine.connect() as connection:
        leaves = connection.execute(select(func.count()).select_from(leaf_table)).scalar_one()
    assert leaves == len(records(host))


def test_sealers_at_once_make_one_chain(make, run):
    host = make(audit={"batch_size": 2})
    for number in range(6):
        run(host, "signup", email=f"u{number}@example.org", password=PASSWORD)
    errors = []

    def work():
        try:
            sealed(host)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sealed(host)
    assert (errors, breaks(host)) == ([], [])
    with host.engine.connect() as connection:
        leaves = connection.execute(select(func.count()).select_from(leaf_table)).scalar_one()
    assert leaves == len(records(host))


WORKER = """
import sys
from authhost import AuthHost, Settings
from authhost_audit.plugin import AuditPlugin
url, number = sys.argv[1:]
settings = Settings(secret_key="k" * 48, database_url=url, rate_limits=False, email_verification="none",
                    password_hash_options={options!r})
with AuthHost(settings, plugins={{"audit": AuditPlugin()}}, discover=False) as host:
    for turn in range(10):
        with host.request() as request:
            host.account.signup(request, email=f"w{{number}}-{{turn}}@example.org", password={password!r})
"""


def test_sixteen_processes_lose_nothing(host, database_url):
    code = WORKER.format(options=CHEAP, password=PASSWORD)
    workers = [
        subprocess.Popen([sys.executable, "-c", code, database_url, str(number)], stderr=subprocess.PIPE)
        for number in range(16)
    ]
    while any(worker.poll() is None for worker in workers):
        sealed(host)
    failed = [worker.communicate()[1].decode() for worker in workers if worker.wait()]
    sealed(host)
    assert failed == []
    assert len(records(host, event="user_logged_in")) == len(records(host, event="user_signed_up")) == 160
    assert breaks(host) == []
    with host.engine.connect() as connection:
        leaves = connection.execute(select(func.count()).select_from(leaf_table)).scalar_one()
    assert leaves == len(records(host))


# Each bit.


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A sealed trail in an SQLite file, to flip bits in copies of."""
    file = tmp_path_factory.mktemp("trail") / "trail.sqlite3"
    settings = Settings(
        secret_key="k" * 48,
        database_url=f"sqlite:///{file}",
        email_verification="none",
        password_hash_options=CHEAP,
        plugin_settings={"audit": {"signing_key": SIGNING}},
    )
    with AuthHost(settings, plugins={"audit": AuditPlugin()}, discover=False, upgrade_database=True) as host:
        for email in (ANN, BOB):
            with host.request(ip_address="192.0.2.1", user_agent="é") as request:
                host.account.signup(request, email=email, password=PASSWORD)
        with pytest.raises(AuthError), host.request(ip_address="192.0.2.1") as request:
            host.account.login(request, identifier="émile", password="x")
        list(seal(host, settings_of(host)))
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file


SEALED_TABLES = ("authhost_audit_event", "authhost_audit_leaf", "authhost_audit_batch")


@hypothesis_settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    table=st.sampled_from(SEALED_TABLES),
    row=st.integers(0, 99),
    column=st.integers(0, 99),
    bit=st.integers(0, 2000),
)
@example("authhost_audit_event", 1, 0, 5)  # the case of a hexadecimal digit
def test_each_bit_counts(template, tmp_path, table, row, column, bit):
    file = tmp_path / "copy.sqlite3"
    for each in tmp_path.glob("copy.sqlite3*"):
        each.unlink(missing_ok=True)
    shutil.copy(template, file)
    with sqlite3.connect(file) as connection:
        keys = connection.execute(f"SELECT rowid FROM {table} ORDER BY rowid").fetchall()
        names = [each[1] for each in connection.execute(f"PRAGMA table_info({table})")]
        key, name = keys[row % len(keys)][0], names[column % len(names)]
        [value] = connection.execute(f'SELECT "{name}" FROM {table} WHERE rowid = ?', (key,)).fetchone()
        try:
            connection.execute(f'UPDATE {table} SET "{name}" = ? WHERE rowid = ?', (flipped(value, bit), key))
        except sqlite3.IntegrityError:  # the database itself refuses two of a kind
            return
    settings = Settings(
        secret_key="k" * 48,
        database_url=f"sqlite:///{file}",
        email_verification="none",
        plugin_settings={"audit": {"signing_key": SIGNING}},
    )
    with AuthHost(settings, plugins={"audit": AuditPlugin()}, discover=False, check_database=False) as host:
        assert breaks(host), f"{table}.{name} of row {key}: bit {bit} of {value!r}"


def flipped(value, bit):
    if value is None:
        return "x"
    if isinstance(value, int):
        return value ^ (1 << bit % 20)
    raw = bytearray(value if isinstance(value, bytes) else value.encode())
    if not raw:
        return "x"
    raw[bit // 8 % len(raw)] ^= 1 << bit % 8
    if isinstance(value, bytes):
        return bytes(raw)
    return raw.decode("utf-8", "surrogateescape").encode("utf-8", "surrogateescape").decode("latin-1")


# A proof for somebody else.


def script():
    """The script of the documentation."""
    page = (Path(__file__).parents[1] / "docs" / "audit.md").read_text(encoding="utf-8")
    [found] = re.findall(r"```python title=\"check_proof.py\"\n(.*?)```", page, re.DOTALL)
    return found


def test_a_proof_is_checked_by_a_script_of_thirty_lines(trail, tmp_path):
    assert len(script().splitlines()) <= 30
    file = tmp_path / "proof.json"
    proved = proof(trail, settings_of(trail), first_record(trail))

    def checked(value):
        file.write_text(json.dumps(value))
        done = subprocess.run(
            [sys.executable, "-c", script(), str(file), PUBLIC], capture_output=True, text=True, check=False
        )
        return done.returncode == 0, done.stdout

    assert checked(proved)[0]
    assert "user_" in checked(proved)[1]
    for change in (
        {"record": {**proved["record"], "event": "another"}},
        {"path": proved["path"][1:]},
        {"seal": {**proved["seal"], "root": "00" * 32}},
        {"signature": "00" * 64},
        {"kind": 1 - proved["kind"]},
    ):
        assert not checked({**proved, **change})[0]


# Keeping.


def test_pruning_leaves_the_seals(make, run, clock):
    host = make(audit={"keep_days": 10, "keep_security_days": 100})
    run(host, "signup", email=ANN, password=PASSWORD)
    sealed(host)
    clock.forward(days=11)
    # email_confirmation_sent, account_ready, user_logged_in
    assert sum(keeping.prune(host, settings_of(host))) == 3
    assert sum(keeping.prune(host, settings_of(host))) == 0
    sealed(host)
    assert breaks(host) == []
    assert [each["event"] for each in records(host)][1] == "user_signed_up"
    clock.forward(days=101)
    sum(keeping.prune(host, settings_of(host)))
    sealed(host)
    assert breaks(host) == []
    left = {each["event"] for each in records(host)}
    assert left == {"audit_recording_on", "audit_sealed", "audit_pruned"}


def test_a_removal_is_not_excused_by_a_pruning_of_older_ones(trail, clock):
    clock.forward(days=400)
    run_login(trail)
    list(keeping.prune(trail, settings_of(trail)))
    sealed(trail)
    newest = [each for each in records(trail) if each["event"] == "user_logged_in"][-1]
    tamper(trail, delete(event_table).where(event_table.c.id == type(first_record(trail))(newest["id"])))
    assert [each.what for each in breaks(trail)] == ["removed"]


def test_forgetting_a_user_leaves_the_seals(trail):
    with trail.request() as request:
        user = trail.account.login(request, identifier=ANN, password=PASSWORD).user
    sealed(trail)
    count = keeping.forget(trail, settings_of(trail), user.id)
    assert count >= 4
    sealed(trail)
    assert breaks(trail) == []
    for record in records(trail, user_id=user.id):
        assert [record[name] for name in ("ip_address", "user_agent", "changes", "uid")] == [None] * 4
    other = [each for each in records(trail, event="user_signed_up") if each["user_id"] != str(user.id)]
    assert all(each["ip_address"] for each in other)


def forged(trail, event, **data):
    """A record that the owner of the database has written, as if the plugin had."""
    from authhost_audit.records import of_trail

    return insert(event_table).values(of_trail(trail.new_id(), trail.now, event, **data))


NOTHING = dict.fromkeys(("salt", "ip_address", "user_agent", "identifier", "uid", "changes"))


@pytest.mark.parametrize("signature", [{}, {"key_id": "x" * 16, "signature": "00" * 64}])
def test_nobody_gives_himself_a_licence(trail, signature):
    before = {str(kind): "9998-01-01T00:00:00+00:00" for kind in range(3)}
    tamper(trail, forged(trail, "audit_pruned", before=before, **signature))
    tamper(trail, forged(trail, "audit_forgotten", user_id="None", attempts=1, **signature))
    tamper(trail, forged(trail, "audit_forgotten", user_id="[" * 5000, **signature))
    sealed(trail)
    tamper(trail, update(event_table).where(event_table.c.event == "user_signed_up").values(NOTHING))
    tamper(trail, delete(event_table).where(event_table.c.event == "user_logged_in"))
    assert {each.what for each in breaks(trail)} == {"changed", "removed"}


def test_forgetting_is_for_what_was_there(trail):
    with trail.request() as request:
        user = trail.account.login(request, identifier=ANN, password=PASSWORD).user
    keeping.forget(trail, settings_of(trail), user.id)
    run_login(trail)
    sealed(trail)
    assert breaks(trail) == []
    newest = [each for each in records(trail) if each["event"] == "user_logged_in"][-1]
    later = event_table.c.id == type(user.id)(newest["id"])
    tamper(trail, update(event_table).where(later).values(NOTHING))
    assert [each.what for each in breaks(trail)] == ["changed"]


def test_forgetting_attempts_that_name_an_address(trail):
    for typed in (ANN, "somebody@example.org"):
        with pytest.raises(AuthError), trail.request(ip_address="192.0.2.9") as request:
            trail.account.login(request, identifier=typed, password="wrong")
    sealed(trail)
    with trail.request() as request:
        user = request.host.account.login(request, identifier=ANN, password=PASSWORD).user
    keeping.forget(trail, settings_of(trail), user.id, ANN)
    sealed(trail)
    assert breaks(trail) == []
    assert [each["ip_address"] for each in records(trail, event="flow_refused")] == [None, "192.0.2.9"]


def test_pruning_waits_for_the_receivers(make, run, clock):
    receiver = {"syslog": "tcp://127.0.0.1:9"}
    host = make(audit={"keep_days": 1, "keep_security_days": 1, **receiver})
    run(host, "signup", email=ANN, password=PASSWORD)
    sealed(host)
    clock.forward(days=3)
    assert sum(keeping.prune(host, settings_of(host))) == 0

    class Sink:
        name = "syslog"

        def send(self, lines):
            pass

    list(forwarding.forward(host, settings_of(host), Sink()))
    # user_signed_up, email_confirmation_sent, account_ready, user_logged_in
    assert sum(keeping.prune(host, settings_of(host))) == 4


def test_a_time_that_is_not_that_of_the_identifier(trail):
    with trail.engine.connect() as connection:
        row = connection.execute(select(event_table).limit(1)).one()._asdict()
    early = row["time"] - timedelta(days=2000)
    tamper(trail, insert(event_table).values({**row, "id": trail.new_id(), "time": early}))
    sealed(trail)
    assert [each.what for each in breaks(trail)] == ["changed"]


def test_a_login_while_somebody_verifies(trail):
    steps = verify(trail, settings_of(trail))
    next(steps)
    run_login(trail)
    assert not [each for each in steps if isinstance(each, Break)]


def test_pruning_while_somebody_verifies(make, run, clock):
    host = make(audit={"keep_days": 1, "keep_security_days": 1, "batch_size": 1})
    run(host, "signup", email=ANN, password=PASSWORD)
    sealed(host)
    clock.forward(days=3)
    steps = verify(host, settings_of(host))
    next(steps)
    list(keeping.prune(host, settings_of(host)))
    assert not [each for each in steps if isinstance(each, Break)]


def test_an_erasure_that_nobody_asked_for_is_found(trail):
    record = first_record(trail)
    tamper(trail, update(event_table).where(event_table.c.id == record).values(NOTHING))
    [found] = breaks(trail)
    assert (found.what, found.record) == ("changed", record)


def test_postgresql_lets_nobody_change_the_trail(trail):
    if trail.engine.dialect.name != "postgresql":
        pytest.skip("the trigger is PostgreSQL's")
    statements = [
        *(delete(table) for table in (event_table, leaf_table, batch_table)),
        update(event_table).values(reason="x"),
        text("TRUNCATE authhost_audit_event"),
    ]
    for statement in statements:
        with pytest.raises(DBAPIError, match="only ever added to"), trail.engine.begin() as connection:
            connection.execute(statement)
    assert breaks(trail) == []


def test_records_outlive_their_users(trail):
    before = len(records(trail))
    with trail.engine.begin() as connection:
        connection.execute(delete(users))
    assert len(records(trail)) == before
    assert not inspect(trail.engine).get_foreign_keys("authhost_audit_event")


# Reading.


def test_search_by_each_criterion(host, run, clock):
    ann = run(host, "signup", email=ANN, password=PASSWORD).user
    clock.forward(hours=1)
    bob = run(host, "signup", email=BOB, password=PASSWORD).user
    with pytest.raises(AuthError):
        run(host, "login", identifier=BOB, password="wrong")
    assert {each["user_id"] for each in records(host, user_id=ann.id)} == {str(ann.id)}
    assert len(records(host, event="user_signed_up")) == 2
    assert [each["reason"] for each in records(host, outcome="refused")] == ["invalid_credentials"]
    assert records(host, reason="rate_limited") == []
    assert len(records(host, ip_address="127.0.0.1", event="flow_refused")) == 1
    assert {each["user_id"] for each in records(host, since=clock.now)} == {str(bob.id)}
    earlier = records(host, until=clock.now)
    assert {each["user_id"] for each in earlier} == {None, str(ann.id)}
    newest = list(search(host, Query(), newest=2))
    assert [each["id"] for each in newest] == [each["id"] for each in records(host)][-2:]


def test_pages_meet_without_gap_or_overlap(trail, monkeypatch):
    everything = records(trail)
    monkeypatch.setattr(reading, "PAGE", 3)
    assert records(trail) == everything


def test_forms_of_export(host, run):
    run(host, "signup", email=ANN, password=PASSWORD)
    with pytest.raises(AuthError):
        run(host, "login", identifier="=cmd", password="x")
    for record in records(host):
        ocsf, owasp = reading.as_ocsf(record), reading.as_owasp(record)
        assert ocsf["type_uid"] == ocsf["class_uid"] * 100 + ocsf["activity_id"]
        assert ocsf["category_uid"] == ocsf["class_uid"] // 1000
        assert ocsf["metadata"]["uid"] == record["id"]
        assert datetime.fromisoformat(owasp["datetime"]).tzinfo is not None
        [cells] = csv.reader([reading.as_csv(record)])
        assert len(cells) == len(reading.COLUMNS)
    assert reading.as_csv({**records(host)[0], "user_agent": "x;=1+1"}).count('"x;=1+1"') == 1
    refused = reading.as_owasp(records(host, event="flow_refused")[0])
    assert (refused["event"].split(":")[0], refused["level"]) == ("authn_login_fail", "WARN")
    assert reading._cell("=1+1") == "'=1+1"


def test_the_documented_vocabulary_is_the_real_one():
    page = (Path(__file__).parents[1] / "docs" / "audit.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \| \d+ \| \d+ \| \w+ \|$", page, re.MULTILINE))
    assert rows == {event: words.owasp for event, words in VOCABULARY.items()}
    refused = dict(re.findall(r"^\| `flow_refused`, `(\w+)` \| `(\w+)` \|$", page, re.MULTILINE))
    assert refused == REFUSED
    assert meaning("flow_refused", "anything").owasp == "authz_fail"


# Forwarding.


@contextmanager
def syslog_server(refuse):
    """RFC 6587 over TCP."""
    taken = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            if refuse:
                refuse.pop()
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                return
            while head := self.rfile.read(1):
                while not head.endswith(b" "):
                    head += self.rfile.read(1)
                taken.append(self.rfile.read(int(head)).decode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"tcp://127.0.0.1:{server.server_address[1]}", taken
        server.shutdown()
        thread.join()


def of_sink(host, sink):
    return [each["id"] for each in records(host)], lambda: sum(
        forwarding.forward(host, settings_of(host), sink)
    )


def test_syslog_gets_every_record_in_order(trail):
    sealed(trail)
    with syslog_server([]) as (url, taken):
        [sink] = forwarding.sinks(AuditSettings(syslog=url))
        expected, go = of_sink(trail, sink)
        assert (go(), go()) == (len(expected), 0)
        run_login(trail)
        assert go() == 0  # not sealed yet
        sealed(trail)
        assert go() == 2
    heads, bodies = zip(*(each.split(" - ", 2)[::2] for each in taken), strict=True)
    assert re.fullmatch(r"<109>1 \S+T\S+\+00:00 \S+ authhost", heads[0])
    got = [json.loads(each.split(" - ", 1)[1] if " - " in each else each) for each in bodies]
    assert [each["id"] for each in got] == [each["id"] for each in by_seal(trail)]


def by_seal(host):
    order = select(leaf_table.c.event_id).order_by(leaf_table.c.batch, leaf_table.c.position)
    with host.engine.connect() as connection:
        ids = [str(each) for each in connection.execute(order).scalars()]
    found = {each["id"]: each for each in records(host)}
    return [found[each] for each in ids]


def test_a_receiver_that_refuses_gets_it_again(trail, monkeypatch):
    monkeypatch.setattr(forwarding, "CHUNK", 3)
    sealed(trail)
    answers, bodies = [500, 200, 503], []

    def answer(handler, body):
        status = answers.pop() if answers else 200
        if status == 200:
            stamp, signature = re.fullmatch(
                r"t=(\d+),v1=(\w+)", handler.headers["X-Authhost-Signature"]
            ).groups()
            expected = hmac.new(b"w" * 32, f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
            assert signature == expected
            bodies.extend(json.loads(body)["records"])
        return as_json({}, status)

    with served(answer) as url:
        [sink] = forwarding.sinks(AuditSettings(webhook=url, webhook_secret="w" * 32))
        for _ in range(2):
            with pytest.raises(forwarding.Refused):
                list(forwarding.forward(trail, settings_of(trail), sink))
        waiting = forwarding.lag(trail, sink)
        assert waiting == len(records(trail)) - 3
        list(forwarding.forward(trail, settings_of(trail), sink))
    assert [each["id"] for each in bodies] == [each["id"] for each in by_seal(trail)]


def test_a_lost_answer_means_twice_and_never_not_at_all(trail, monkeypatch):
    sealed(trail)
    got = []

    class Sink:
        name = "test"

        def send(self, lines):
            got.extend(each["id"] for each in lines)

    with monkeypatch.context() as patch:
        patch.setattr(forwarding, "_move", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            list(forwarding.forward(trail, settings_of(trail), Sink()))
    list(forwarding.forward(trail, settings_of(trail), Sink()))
    assert set(got) == {each["id"] for each in records(trail)}
    with trail.engine.connect() as connection:
        assert set(connection.execute(select(cursor_table.c.name)).scalars()) == {"recording", "test"}


def test_two_forwarders_do_not_mix(trail, monkeypatch):
    monkeypatch.setattr(forwarding, "CHUNK", 3)
    sealed(trail)
    got, settings = [], settings_of(trail)

    class Second:
        name = "test"

        def send(self, lines):
            got.extend(each["id"] for each in lines)

    class First(Second):
        def send(self, lines):
            with pytest.raises(forwarding.Refused, match="another process"):
                list(forwarding.forward(trail, settings, Second()))
            super().send(lines)

    list(forwarding.forward(trail, settings, First()))
    assert got == [each["id"] for each in by_seal(trail)]
    assert list(forwarding.forward(trail, settings, Second())) == []


def test_a_receiver_that_drips_is_left(trail):
    sealed(trail)
    over = threading.Event()

    def drip(handler, body):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not over.wait(0.01):
            handler.wfile.write(b"X: y\r\n")
            handler.wfile.flush()

    with served(drip) as url:
        settings = AuditSettings(webhook=url, webhook_secret="w" * 32, timeout=0.3)
        with pytest.raises(forwarding.Refused):
            list(forwarding.forward(trail, settings, forwarding.sinks(settings)[0]))
        over.set()


def test_udp(trail):
    sealed(trail)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        [sink] = forwarding.sinks(AuditSettings(syslog=f"udp://127.0.0.1:{receiver.getsockname()[1]}"))
        sink.send([records(trail)[0]])
        assert b"audit_recording_on" in receiver.recv(65536)


def test_nobody_there(trail):
    sealed(trail)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    settings = AuditSettings(signing_key=SIGNING, syslog=url, checkpoint_file="/nowhere/at/all")
    with pytest.raises(forwarding.Refused):
        list(forwarding.forward(trail, settings, forwarding.sinks(settings)[0]))
    run_login(trail)
    for batch in seal(trail, settings):
        assert push(settings, batch) == ["checkpoint_file", "syslog"]


def test_waits_grow_to_five_minutes():
    waits = forwarding.waits()
    assert [next(waits) for _ in range(11)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


# The command line.


def audit(file, *arguments, code=0, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "authhost.cli", "--config", str(file), "audit", *arguments],
        env={
            **os.environ,
            "AUTHHOST_SECRET_KEY": "9rZkQ2vX7mLwT4pYc8sBnH1jUeGdFa6oViKx0tRqW3yEzNhP",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_the_command_line(tmp_path):
    file = tmp_path / "site.toml"
    file.write_text(
        f'database_url = "sqlite:///{tmp_path / "site.sqlite3"}"\nemail_verification = "none"\n'
        f'[plugins.audit]\ncheckpoint_file = "{tmp_path / "checkpoints"}"\n'
    )
    settings = Settings.load(file, secret_key="k" * 48, blocked_plugins=("email", "analytics"))
    with AuthHost(settings, upgrade_database=True) as host, host.request() as request:
        host.account.signup(request, email=ANN, password=PASSWORD)
    key = audit(file, "new-key").strip().partition("=")[2]
    environment = {"AUTHHOST_PLUGINS__AUDIT__SIGNING_KEY": key, "AUTHHOST_BLOCKED_PLUGINS": "email,analytics"}
    assert (
        "signing_key"
        in subprocess.run(
            [sys.executable, "-m", "authhost.cli", "--config", str(file), "audit", "seal"],
            env={
                **os.environ,
                "AUTHHOST_SECRET_KEY": "k1" * 24,
                "AUTHHOST_BLOCKED_PLUGINS": "email,analytics",
            },
            capture_output=True,
            text=True,
            check=False,
        ).stderr
    )
    assert "batch 1: 5 records" in audit(file, "seal", **environment)
    assert "5 sealed records are as they were sealed" in audit(file, "verify", **environment)
    [line] = audit(file, "search", "--event", "user_logged_in", "--json", **environment).splitlines()
    record = json.loads(line)
    assert json.loads(audit(file, "proof", record["id"], **environment))["record"]["id"] == record["id"]
    output = tmp_path / "export.csv"
    audit(file, "export", "--format", "csv", "-o", str(output), **environment)
    assert len(output.read_text().splitlines()) == 1 + 6
    assert "0 records were deleted" in audit(file, "prune", **environment)
    assert "3 records have no personal part" in audit(
        file, "forget", record["user_id"], "--yes", **environment
    )
    assert "nobody is to receive it" in _error(file, "forward", environment)
    with sqlite3.connect(tmp_path / "site.sqlite3") as connection:
        connection.execute("UPDATE authhost_audit_event SET outcome = 'x' WHERE event = 'user_logged_in'")
    assert record["id"] in audit(file, "verify", "--json", code=1, **environment)
    assert "this is no identifier" in _error(file, "proof", environment, "x", code=2)
    assert "not as it was sealed" in _error(file, "proof", environment, record["id"])
    assert "there is no file" in _error(file, "verify", environment, "--checkpoint", "/nowhere")
    assert "cannot be written" in _error(file, "export", environment, "-o", "/nowhere/at/all")


def _error(file, command, environment, *arguments, code=1):
    done = subprocess.run(
        [sys.executable, "-m", "authhost.cli", "--config", str(file), "audit", command, *arguments],
        env={**os.environ, "AUTHHOST_SECRET_KEY": "k1" * 24, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    return done.stderr
