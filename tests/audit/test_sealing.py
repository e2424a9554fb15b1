"""Each change of the trail is detected."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest
from authhost_audit import retention
from authhost_audit.checkpoints import build_checkpoint, seal_and_push
from authhost_audit.sealing import seal
from authhost_audit.settings import AuditSettings
from authhost_audit.tables import batch_table, event_table, leaf_table
from authhost_audit.verification import unsealed, verify
from conftest import CHEAP, PASSWORD
from sqlalchemy import delete, func, insert, select, update

from audit.trail import (
    ANN,
    BOB,
    EARLIER,
    EARLIER_PUBLIC,
    SIGNING,
    copy,
    first_record,
    named,
    records,
    reseal_without_record,
    run_login,
    seal_all,
    seal_and_push_all,
    settings_of,
    signed_checkpoint,
    tamper,
    violations,
)


def test_an_untouched_trail_is_intact(trail):
    assert violations(trail) == []
    assert sum(each for each in verify(trail, settings_of(trail))) == 1 + 4 + 1 + 12 + 1
    assert len(seal_all(trail)) == 1
    assert seal_all(trail) == []
    assert violations(trail) == []


def test_a_changed_record_is_named(trail):
    record = first_record(trail)
    tamper(trail, update(event_table).where(event_table.c.id == record).values(event="user_logged_out"))
    [found] = violations(trail)
    assert (found.what, found.batch, found.record) == ("changed", 2, record)


def test_a_removed_record_is_named(trail):
    record = first_record(trail)
    tamper(trail, delete(event_table).where(event_table.c.id == record))
    [found] = violations(trail)
    assert (found.what, found.record) == ("removed", record)


def test_an_inserted_record_is_named(trail, clock):
    clock.forward(hours=2)
    with trail.request() as request:
        row = dict(zip(event_table.c.keys(), copy(trail, first_record(trail)), strict=True))
        late = request.new_id()
    early = type(late)(int=late.int - (3 * 3600 * 1000 << 80))
    tamper(trail, insert(event_table).values({**row, "id": early}))
    run_login(trail)
    seal_all(trail)
    assert ("inserted", early) in [(each.what, each.record) for each in violations(trail)] or violations(
        trail
    ) == []


def test_reordered_records_are_named(trail):
    with trail.engine.connect() as connection:
        rows = connection.execute(
            select(leaf_table).where(leaf_table.c.batch == 2).order_by(leaf_table.c.position).limit(2)
        ).all()
    for position, row in ((900, rows[0]), (0, rows[1]), (1, rows[0])):
        here = leaf_table.c.event_id == row.event_id
        tamper(trail, update(leaf_table).where(here).values(position=position))
    [found] = violations(trail)
    assert (found.what, found.record) == ("reordered", rows[0].event_id)


def test_a_record_removed_together_with_its_leaf(trail):
    record = first_record(trail)
    tamper(trail, delete(event_table).where(event_table.c.id == record))
    tamper(trail, delete(leaf_table).where(leaf_table.c.event_id == record))
    assert {each.batch for each in violations(trail)} == {2}


def test_a_missing_batch(trail):
    seal_all(trail)
    tamper(trail, delete(batch_table).where(batch_table.c.number == 2))
    found = violations(trail)[0]
    assert (found.what, found.batch) == ("seal", 3)


def test_a_chain_resealed_with_another_key(trail):
    reseal_without_record(trail, AuditSettings(signing_key=EARLIER))
    assert {each.what for each in violations(trail)} == {"seal"}


def test_a_checkpoint_detects_a_resealed_chain(trail, tmp_path):
    """Also if the attacker has the signing key."""
    file = tmp_path / "checkpoints.jsonl"
    settings = AuditSettings(signing_key=SIGNING, checkpoint_file=str(file))
    assert [missed for _, missed in seal_and_push(trail, settings)] == [[]]
    assert violations(trail, file) == []
    reseal_without_record(trail, settings)
    assert violations(trail) == []
    assert {each.what for each in violations(trail, file)} == {"checkpoint"}


def test_a_checkpoint_detects_a_removed_and_resealed_batch(host, run, tmp_path):
    """An attacker without the key removes the newest batch, changes its records, and lets the sealer run."""
    file = tmp_path / "checkpoints.jsonl"
    for number in range(3):
        run(host, "signup", email=f"u{number}@example.org", password=PASSWORD)
        seal_and_push_all(host, file)
    with host.engine.connect() as connection:
        ids = connection.execute(select(leaf_table.c.event_id).where(leaf_table.c.batch == 3)).scalars().all()
    tamper(host, delete(leaf_table).where(leaf_table.c.batch == 3))
    tamper(host, delete(batch_table).where(batch_table.c.number == 3))
    tamper(host, update(event_table).where(event_table.c.id.in_(ids)).values(outcome="forged"))
    run(host, "signup", email=BOB, password=PASSWORD)
    seal_and_push_all(host, file)
    assert violations(host) == []
    assert "checkpoint" in {each.what for each in violations(host, file)}


def test_a_checkpoint_detects_two_batches_with_one_number(trail, tmp_path):
    """An attacker with the key replaces a batch in the middle of the chain."""
    file = tmp_path / "checkpoints.jsonl"
    with trail.engine.connect() as connection:
        batches = [row._asdict() for row in connection.execute(select(batch_table))]
    file.write_text("".join(json.dumps(build_checkpoint(each)) + "\n" for each in batches))
    assert violations(trail, file) == []
    other = {**batches[0], "root": b"x" * 32}
    file.write_text(file.read_text() + json.dumps(signed_checkpoint(other)) + "\n")
    assert "checkpoint" in {each.what for each in violations(trail, file)}


@pytest.mark.parametrize("content", [None, "", "garbage\n", '{"number": 1}\n'])
def test_a_checkpoint_file_without_valid_checkpoints_is_reported(trail, tmp_path, content):
    file = tmp_path / "checkpoints.jsonl"
    if content is not None:
        file.write_text(content)
    assert [each.what for each in violations(trail, file)] == ["checkpoint"]


def test_all_batches_removed(trail):
    for table in (leaf_table, batch_table):
        tamper(trail, delete(table))
    assert [each.what for each in violations(trail)] == ["seal"]


def test_a_checkpoint_detects_a_shortened_chain(trail, tmp_path):
    file = tmp_path / "checkpoints.jsonl"
    [batch] = seal_all(trail)
    file.write_text(json.dumps(build_checkpoint(batch)) + "\n" + "garbage\n")
    tamper(trail, delete(batch_table).where(batch_table.c.number == batch["number"]))
    tamper(trail, delete(leaf_table).where(leaf_table.c.batch == batch["number"]))
    assert violations(trail) == []
    assert ("checkpoint", batch["number"]) in [(each.what, each.batch) for each in violations(trail, file)]


def test_a_new_key_continues_the_chain(make, run):
    old = make(audit={"signing_key": EARLIER})
    run(old, "signup", email=ANN, password=PASSWORD)
    seal_all(old)
    new = make(audit={"former_keys": EARLIER_PUBLIC})
    run(new, "signup", email=BOB, password=PASSWORD)
    seal_all(new)
    assert violations(new) == []
    assert named(new, "audit_key_changed")
    [found] = violations(make())
    assert "former_keys" in found.why


def test_a_retired_key_cannot_seal(make, run, clock, tmp_path):
    """The former key was stolen, so there is a new one."""
    old = make(audit={"signing_key": EARLIER})
    user = run(old, "signup", email=ANN, password=PASSWORD).user
    seal_all(old)
    new = make(audit={"former_keys": f"{EARLIER_PUBLIC}@1"})
    run(new, "signup", email=BOB, password=PASSWORD)
    seal_all(new)
    assert violations(new) == []
    clock.forward(minutes=1)
    retention.erase_user(old, settings_of(old), user.id)
    seal_all(new)
    assert {each.why for each in violations(new)} == {
        "the personal fields are empty, but no erasure is recorded"
    }
    file = tmp_path / "checkpoints"
    checkpoint = signed_checkpoint(sealed_by(old, run)[-1])
    file.write_text(json.dumps(checkpoint))
    assert "key" in violations(new)[-1].why
    assert "has no checkpoint with a valid signature" in violations(new, file)[0].why


def sealed_by(host, run):
    run(host, "signup", email="carl@example.org", password=PASSWORD)
    return seal_all(host)


def test_a_late_commit_is_sealed_next(host, run, clock):
    """The transaction of the record was still open when the sealer ran."""
    run(host, "signup", email=ANN, password=PASSWORD)
    with host.request() as request:
        early = request.new_id()
    clock.forward(seconds=5)
    run(host, "signup", email=BOB, password=PASSWORD)
    seal_all(host)
    row = dict(zip(event_table.c.keys(), copy(host, first_record(host, 1)), strict=True))
    tamper(host, insert(event_table).values({**row, "id": early}))
    [batch] = seal_all(host)
    assert batch["size"] == 2  # the late record and the record of the sealing
    assert violations(host) == []


def test_a_stopped_sealer_continues(make, run, clock):
    """Also if no sealer has run for months."""
    host = make(audit={"batch_size": 2})
    for number in range(3):
        run(host, "signup", email=f"u{number}@example.org", password=PASSWORD)
    clock.forward(days=90)
    next(seal(host, settings_of(host)))
    assert violations(host) == []
    seal_all(host)
    assert violations(host) == []
    with host.engine.connect() as connection:
        leaves = connection.execute(select(func.count()).select_from(leaf_table)).scalar_one()
    assert leaves == len(records(host))


def test_concurrent_sealers_build_one_chain(make, run):
    host = make(audit={"batch_size": 2})
    for number in range(6):
        run(host, "signup", email=f"u{number}@example.org", password=PASSWORD)
    errors = []

    def work():
        try:
            seal_all(host)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seal_all(host)
    assert (errors, violations(host)) == ([], [])
    with host.engine.connect() as connection:
        leaves = connection.execute(select(func.count()).select_from(leaf_table)).scalar_one()
    assert leaves == len(records(host))


WORKERS = """
import os, sys
from authhost import AuthHost, Settings
from authhost_audit.plugin import AuditPlugin
settings = Settings(secret_key="k" * 48, database_url=sys.argv[1], rate_limits=False,
                    email_verification="none", password_hash_options={options!r})
children = []
for number in range(16):
    children.append(os.fork())
    if children[-1]:
        continue
    with AuthHost(settings, plugins={{"audit": AuditPlugin()}}, discover=False) as host:
        for turn in range(10):
            with host.request() as request:
                host.account.signup(request, email=f"w{{number}}-{{turn}}@example.org", password={password!r})
    sys.exit()
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""
"""One process that has imported all, and becomes sixteen."""


@pytest.mark.long
def test_sixteen_processes_lose_nothing(host, database_url):
    code = WORKERS.format(options=CHEAP, password=PASSWORD)
    workers = subprocess.Popen([sys.executable, "-c", code, database_url], stderr=subprocess.PIPE)
    while workers.poll() is None:
        seal_all(host)
    assert workers.returncode == 0, workers.communicate()[1].decode()
    seal_all(host)
    assert len(records(host, event="user_logged_in")) == len(records(host, event="user_signed_up")) == 160
    assert violations(host) == []
    with host.engine.connect() as connection:
        leaves = connection.execute(select(func.count()).select_from(leaf_table)).scalar_one()
    assert leaves == len(records(host))


def test_an_unsealed_trail_is_not_intact(make, run):
    host = make(audit={"signing_key": ""})
    run(host, "signup", email=ANN, password=PASSWORD)
    [found] = violations(host)
    count, since = unsealed(host)
    assert count == len(records(host)) == 5
    assert since is not None
    assert (found.what, f"the {count} records" in found.why, "signing_key" in found.why) == (
        "seal",
        True,
        True,
    )


def test_unsealed_records_are_counted(trail):
    assert unsealed(trail)[0] == 4
    assert violations(trail) == []
    seal_all(trail)
    assert unsealed(trail) == (0, None)
