"""The trail cannot be changed unseen."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest
from authhost_audit import keeping
from authhost_audit.checkpoints import checkpoint_of, seal_and_push
from authhost_audit.sealing import seal
from authhost_audit.settings import AuditSettings
from authhost_audit.tables import batch_table, event_table, leaf_table
from authhost_audit.verifying import unsealed, verify
from conftest import CHEAP, PASSWORD
from sqlalchemy import delete, func, insert, select, update

from audit.trail import (
    ANN,
    BOB,
    EARLIER,
    EARLIER_PUBLIC,
    SIGNING,
    anew,
    breaks,
    copy,
    first_record,
    named,
    pushes,
    records,
    run_login,
    sealed,
    settings_of,
    signed,
    tamper,
)


def test_an_untouched_trail_is_intact(trail):
    assert breaks(trail) == []
    assert sum(each for each in verify(trail, settings_of(trail))) == 1 + 4 + 1 + 12 + 1
    assert len(sealed(trail)) == 1
    assert sealed(trail) == []
    assert breaks(trail) == []


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
        row = dict(zip(event_table.c.keys(), copy(trail, first_record(trail)), strict=True))
        late = request.new_id()
    early = type(late)(int=late.int - (3 * 3600 * 1000 << 80))
    tamper(trail, insert(event_table).values({**row, "id": early}))
    run_login(trail)
    sealed(trail)
    assert ("inserted", early) in [(each.what, each.record) for each in breaks(trail)] or breaks(trail) == []


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


def test_a_checkpoint_knows_a_chain_that_was_made_anew(trail, tmp_path):
    """Even by whoever has the key."""
    file = tmp_path / "checkpoints.jsonl"
    settings = AuditSettings(signing_key=SIGNING, checkpoint_file=str(file))
    assert [missed for _, missed in seal_and_push(trail, settings)] == [[]]
    assert breaks(trail, file) == []
    anew(trail, settings)
    assert breaks(trail) == []
    assert {each.what for each in breaks(trail, file)} == {"checkpoint"}


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


def test_a_former_key_seals_nothing_any_more(make, run, clock, tmp_path):
    """It was stolen, which is why there is a new one."""
    old = make(audit={"signing_key": EARLIER})
    user = run(old, "signup", email=ANN, password=PASSWORD).user
    sealed(old)
    new = make(audit={"former_keys": f"{EARLIER_PUBLIC}@1"})
    run(new, "signup", email=BOB, password=PASSWORD)
    sealed(new)
    assert breaks(new) == []
    clock.forward(minutes=1)
    keeping.forget(old, settings_of(old), user.id)
    sealed(new)
    assert {each.why for each in breaks(new)} == {"its personal part is gone, and nobody asked for it"}
    file = tmp_path / "checkpoints"
    checkpoint = signed(sealed_by(old, run)[-1])
    file.write_text(json.dumps(checkpoint))
    assert "key" in breaks(new)[-1].why
    assert "no checkpoint that can be trusted" in breaks(new, file)[0].why


def sealed_by(host, run):
    run(host, "signup", email="carl@example.org", password=PASSWORD)
    return sealed(host)


def test_a_late_commit_is_sealed_next(host, run, clock):
    """A record of a transaction that was open while the sealer passed."""
    run(host, "signup", email=ANN, password=PASSWORD)
    with host.request() as request:
        early = request.new_id()
    clock.forward(seconds=5)
    run(host, "signup", email=BOB, password=PASSWORD)
    sealed(host)
    row = dict(zip(event_table.c.keys(), copy(host, first_record(host, 1)), strict=True))
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


@pytest.mark.long
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


def test_nothing_sealed_is_not_intact(make, run):
    host = make(audit={"signing_key": ""})
    run(host, "signup", email=ANN, password=PASSWORD)
    [found] = breaks(host)
    count, since = unsealed(host)
    assert count == len(records(host)) == 5
    assert since is not None
    assert (found.what, f"the {count} records" in found.why, "signing_key" in found.why) == (
        "seal",
        True,
        True,
    )


def test_what_is_not_sealed_yet_is_counted(trail):
    assert unsealed(trail)[0] == 4
    assert breaks(trail) == []
    sealed(trail)
    assert unsealed(trail) == (0, None)
