"""Searching and exporting records."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from authhost_audit import export, search as searching
from authhost_audit.search import Query, search
from authhost_audit.vocabulary import REFUSAL_EVENTS, VOCABULARY, classify
from conftest import PASSWORD

from audit.trail import ANN, BOB, records
from authhost.errors import AuthError


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


def test_a_search_by_user_reads_only_that_users_records(host):
    if host.engine.dialect.name != "sqlite":
        pytest.skip("plans are read on SQLite")
    statement = Query(user_id=host.new_id()).statement("newest first", 100)
    compiled = statement.compile(host.engine, compile_kwargs={"render_postcompile": True})
    values = tuple(getattr(each := compiled.params[name], "hex", each) for name in compiled.positiontup)
    with host.engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", values).all()
    read = [row[3] for row in plan if "authhost_audit_event" in row[3]]
    assert len(read) == 2
    assert all("USING INDEX ix_authhost_audit_event_" in step for step in read)


def test_pages_have_no_gap_or_overlap(trail, monkeypatch):
    everything = records(trail)
    monkeypatch.setattr(searching, "PAGE_SIZE", 3)
    assert records(trail) == everything


def test_export_formats(host, run):
    run(host, "signup", email=ANN, password=PASSWORD)
    with pytest.raises(AuthError):
        run(host, "login", identifier="=cmd", password="x")
    for record in records(host):
        ocsf, owasp = export.as_ocsf(record), export.as_owasp(record)
        assert ocsf["type_uid"] == ocsf["class_uid"] * 100 + ocsf["activity_id"]
        assert ocsf["category_uid"] == ocsf["class_uid"] // 1000
        assert ocsf["metadata"]["uid"] == record["id"]
        assert datetime.fromisoformat(owasp["datetime"]).tzinfo is not None
        [cells] = csv.reader([export.as_csv(record)])
        assert len(cells) == len(export.COLUMNS)
    assert export.as_csv({**records(host)[0], "user_agent": "x;=1+1"}).count('"x;=1+1"') == 1
    refusal = export.as_owasp(records(host, event="flow_refused")[0])
    assert (refusal["event"].split(":")[0], refusal["level"]) == ("authn_login_fail", "WARN")
    assert export._cell("=1+1") == "'=1+1"


def test_the_documented_vocabulary_is_current():
    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \| \d+ \| \d+ \| \w+ \|$", page, re.MULTILINE))
    assert rows == {event: words.owasp for event, words in VOCABULARY.items()}
    documented = dict(re.findall(r"^\| `flow_refused`, `(\w+)` \| `(\w+)` \|$", page, re.MULTILINE))
    assert documented == REFUSAL_EVENTS
    assert classify("flow_refused", "anything").owasp == "authz_fail"


def test_the_benchmark_runs(tmp_path):
    """A small run, so that the benchmark keeps working."""
    script = Path(__file__).parents[1] / "benchmarks" / "audit.py"
    database = f"sqlite:///{tmp_path / 'trail.sqlite3'}"
    done = subprocess.run(
        [sys.executable, str(script), "--records", "50", "--database", database, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    steps = [json.loads(line)["step"] for line in done.stdout.splitlines()]
    assert {"write", "seal", "verify", "search by user", "export"} <= set(steps)
