"""A change of any bit of any row is detected."""

from __future__ import annotations

import json
import shutil
import sqlite3
from uuid import UUID

import pytest
from authhost_audit import retention
from authhost_audit.plugin import AuditPlugin
from authhost_audit.sealing import seal
from authhost_audit.search import Query, search
from conftest import CHEAP, PASSWORD
from hypothesis import HealthCheck, example, given, settings as hypothesis_settings, strategies as st

from audit.trail import ANN, BOB, SIGNING, settings_of, violations
from authhost import AuthHost, Settings
from authhost.errors import AuthError


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A sealed trail in an SQLite file, with an erasure that is not sealed yet. Tests change copies of it."""
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
        ann = next(search(host, Query(event="user_signed_up")))
        retention.erase_user(host, settings_of(host), UUID(ann["user_id"]), "émile")
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file


@pytest.fixture(scope="module")
def sealed_template(template, tmp_path_factory):
    """The same trail; the erasure is sealed, too."""
    file = copy_database(template, tmp_path_factory.mktemp("sealed"))
    with open_host_on(file) as host:
        list(seal(host, settings_of(host)))
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file


SEALED_TABLES = ("authhost_audit_event", "authhost_audit_leaf", "authhost_audit_batch")


@pytest.mark.long
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
def test_each_flipped_bit_is_detected(sealed_template, tmp_path, table, row, column, bit):
    file = copy_database(sealed_template, tmp_path)
    with sqlite3.connect(file) as connection:
        keys = connection.execute(f"SELECT rowid FROM {table} ORDER BY rowid").fetchall()
        names = [each[1] for each in connection.execute(f"PRAGMA table_info({table})")]
        key, name = keys[row % len(keys)][0], names[column % len(names)]
        [value] = connection.execute(f'SELECT "{name}" FROM {table} WHERE rowid = ?', (key,)).fetchone()
        try:
            change = f'UPDATE {table} SET "{name}" = ? WHERE rowid = ?'
            connection.execute(change, (flip_bit(value, bit), key))
        except sqlite3.IntegrityError:  # a unique constraint refuses the value
            return
    with open_host_on(file) as host:
        assert violations(host), f"{table}.{name} of row {key}: bit {bit} of {value!r}"


@pytest.mark.long
@hypothesis_settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.sampled_from(["id", "event", "data"]), bit=st.integers(0, 10_000))
def test_each_flipped_bit_of_an_unsealed_erasure_is_detected(template, tmp_path, name, bit):
    """The record of the erasure has its own signature, so its list cannot be extended."""
    file = copy_database(template, tmp_path)
    with open_host_on(file) as host:
        assert violations(host) == []
    with sqlite3.connect(file) as connection:
        [key, value] = connection.execute(
            f'SELECT rowid, "{name}" FROM authhost_audit_event WHERE event = ?', ("audit_forgotten",)
        ).fetchone()
        connection.execute(
            f'UPDATE authhost_audit_event SET "{name}" = ? WHERE rowid = ?', (flip_bit(value, bit), key)
        )
    with open_host_on(file) as host:
        assert violations(host), f"{name}: bit {bit} of {value!r}"


def test_a_signature_has_one_form(template, tmp_path):
    """Hexadecimal digits in capitals decode to the same signature, but the record was changed."""
    file = copy_database(template, tmp_path)
    with sqlite3.connect(file) as connection:
        [key, value] = connection.execute(
            "SELECT rowid, data FROM authhost_audit_event WHERE event = ?", ("audit_forgotten",)
        ).fetchone()
        signature = json.loads(value)["signature"]
        changed = value.replace(signature, signature.upper())
        connection.execute("UPDATE authhost_audit_event SET data = ? WHERE rowid = ?", (changed, key))
    with open_host_on(file) as host:
        assert violations(host)


def copy_database(template, folder):
    file = folder / "copy.sqlite3"
    for each in folder.glob("copy.sqlite3*"):
        each.unlink(missing_ok=True)
    shutil.copy(template, file)
    return file


def open_host_on(file):
    settings = Settings(
        secret_key="k" * 48,
        database_url=f"sqlite:///{file}",
        email_verification="none",
        password_hash_options=CHEAP,
        plugin_settings={"audit": {"signing_key": SIGNING}},
    )
    return AuthHost(settings, plugins={"audit": AuditPlugin()}, discover=False, check_database=False)


def flip_bit(value, bit):
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
