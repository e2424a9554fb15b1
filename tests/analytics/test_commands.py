"""The command line."""

from __future__ import annotations

import csv
import json
import socket
from datetime import timedelta
from pathlib import Path
from urllib.request import urlopen

import click
import pytest
from authhost_analytics import rollup
from authhost_analytics.commands import analytics, repeating
from authhost_analytics.rollup import roll_up
from authhost_analytics.settings import AnalyticsSettings
from click.testing import CliRunner
from conftest import PASSWORD
from sqlalchemy.exc import OperationalError

from analytics.support import at, login, row, settings_of, signup, store, stored, user
from authhost.testing import CommandContext


@pytest.fixture
def host(make, clock):
    host = make(site_name="Site")
    clock.now = at("2026-01-20 12:00")
    for who in range(8):
        store(
            host,
            signup(host, f"2026-01-{12 + who} 10:00", who),
            login(host, "2026-01-20 11:00", who, f"2026-01-{12 + who}"),
        )
    return host


@pytest.fixture
def do(host):
    """Run a command; return what it printed."""

    def do(*arguments, code=0):
        done = CliRunner().invoke(analytics, arguments, obj=CommandContext(host))
        assert done.exit_code == code, done.output
        return done.stdout if code == 0 else done.output

    return do


def test_a_report(do):
    text = do("report")
    assert "2025-12-22 to 2026-01-20" in text
    assert "user_signed_up" in text
    document = json.loads(do("report", "--json", "--since", "2026-01-12", "--by", "week", "--by", "method"))
    assert document["periods"] == ["2026-01-12", "2026-01-19"]
    assert document["events"] == [{"method": "password", "total": 16, "counts": [7, 9]}]
    assert document["rates"] == [
        {"flow": name, "succeeded": 8, "refused": 0, "rate_limited": 0, "share": 0.0}
        for name in ("login", "signup")
    ]


def test_a_public_report_is_rounded(do):
    document = json.loads(do("report", "--json", "--public"))
    assert {each["event"]: (each["total"], sum(each["counts"])) for each in document["events"]} == {
        "user_signed_up": (10, 0),
        "user_logged_in": (10, 10),
    }


def test_a_public_report_explains_the_rounding(do, host):
    assert "Counts below 5 are shown as 0." in do("report", "--public")
    assert "rounded" not in do("report")
    old = ("report", "--public", "--until", "2026-01-13")
    assert "no counts of 5 or more" in do(*old)
    assert "no events" in do("report", "--until", "2026-01-11")


@pytest.mark.parametrize(
    "days", [("--until", "0001-01-05"), ("--since", "9999-12-01", "--until", "9999-12-31")]
)
@pytest.mark.parametrize("command", [("report",), ("export",), ("report", "--by", "week")])
def test_days_at_the_ends_of_the_calendar(do, days, command):
    do(*command, *days)


def test_a_report_by_hour_within_the_retention(do):
    assert json.loads(do("report", "--json", "--since", "2025-10-22", "--by", "hour"))["grain"] == "hour"


def test_a_page(do, tmp_path):
    file = tmp_path / "report.html"
    do("html", "-o", str(file), "--by", "hour", "--by", "provider")
    assert "<h1>Site: accounts and logins</h1>" in file.read_text(encoding="utf-8")
    assert do("html", "-o", "-").endswith("</html>")


def test_exports(do, tmp_path):
    lines = [json.loads(line) for line in do("export").splitlines()]
    assert [(each["period"], each["count"]) for each in lines] == [("2026-01-20", 10)]
    file = tmp_path / "week.csv"
    do("export", "--format", "csv", "--by", "week", "-o", str(file))
    assert [each["count"] for each in csv.DictReader(file.open(encoding="utf-8"))] == ["5", "10"]
    metrics = tmp_path / "authhost.prom"
    do("textfile", "-o", str(metrics))
    assert 'authhost_people{period="day"} 10.0' in metrics.read_text()
    assert list(tmp_path.glob("*.prom*")) == [metrics]


def test_prometheus_serves_the_metrics(host, monkeypatch):
    seen = []

    class Once:
        def wait(self, seconds):
            address = said[0]
            seen.append((seconds, urlopen(address, timeout=10).read().decode()))
            raise KeyboardInterrupt

    said = []
    monkeypatch.setattr(repeating, "NEVER_SET", Once())
    monkeypatch.setattr("click.echo", lambda text, **_: said.append(text))
    done = CliRunner().invoke(
        analytics, ["prometheus", "--port", "0", "--every", "15"], obj=CommandContext(host)
    )
    assert (done.exit_code, done.stderr) == (0, "")
    [(seconds, text)] = seen
    assert seconds == 15
    assert "authhost_events_total{" in text


def test_a_port_that_is_taken(do):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "cannot listen at" in do("prometheus", "--port", str(taken.getsockname()[1]), code=1)


def test_an_invalid_address(do):
    assert "cannot listen at" in do("prometheus", "--address", "a" * 80, "--port", "0", code=1)


def test_a_roll_up(do, host, clock):
    assert do("roll-up") == "counted 16 events\n"
    assert json.loads(do("roll-up", "--all", "--json")) == {"events": 0}
    store(host, row(host, "2026-01-20 11:00", "password_set", 1))
    steps = roll_up(host, settings_of(host))
    next(steps)
    assert "another process is running the roll-up" in do("roll-up", code=1)
    assert "user_signed_up" in do("report")
    steps.close()
    clock.now += timedelta(days=40)
    do("roll-up")
    assert stored(host) == []


def test_a_roll_up_goes_on_until_it_is_stopped(host, monkeypatch):
    waited = []

    class Twice:
        def wait(self, seconds):
            waited.append(seconds)
            if len(waited) == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(repeating, "NEVER_SET", Twice())
    done = CliRunner().invoke(analytics, ["roll-up", "--every", "60"], obj=CommandContext(host))
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["counted 16 events", "there are no new events"]
    assert waited == [60, 60]


@pytest.mark.parametrize("command", [("roll-up", "--every", "60"), ("prometheus", "--port", "0")])
def test_a_service_continues_after_a_database_error(host, monkeypatch, command):
    tries = []

    def roll_up_or_not(*arguments, **options):
        tries.append(None)
        if len(tries) == 2:
            raise OperationalError("SELECT", {}, Exception("the server restarts"))
        return roll_up(*arguments, **options)

    class UntilThree:
        def wait(self, seconds):
            if len(tries) == 3:
                raise KeyboardInterrupt

    monkeypatch.setattr(rollup, "roll_up", roll_up_or_not)
    monkeypatch.setattr(repeating, "NEVER_SET", UntilThree())
    done = CliRunner().invoke(analytics, command, obj=CommandContext(host))
    assert (done.exit_code, done.stderr) == (
        0,
        "database error, trying again in 60 seconds: the server restarts\n",
    )
    assert len(tries) == 3


def test_an_account_is_forgotten_by_its_address_or_name(do, host, run):
    ann = run(host, "signup", email="ann@example.org", username="ann", password=PASSWORD).user
    assert json.loads(do("forget", "ann@example.org", "--json"))["events"] > 0
    for name in ("ann", str(ann.id)[:13], str(ann.id)):
        assert do("forget", name) == f"nothing is stored for {ann.id}\n"
    assert "there is no account zoe" in do("forget", "zoe", code=1)


def test_forget(do, host):
    do("roll-up")
    erased = f"erased: 2 events and the signup of {user(1)} no longer refer to the user\n"
    assert do("forget", str(user(1))) == erased
    assert do("forget", str(user(1))) == f"nothing is stored for {user(1)}\n"
    assert json.loads(do("forget", str(user(2)), "--json")) == {
        "user_id": str(user(2)),
        "events": 2,
        "signups": 1,
    }
    assert sum(1 for each in stored(host) if each.person is None) == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("report", "--since", "yesterday"), "does not match the format"),
        (("report", "--since", "2026-02-01", "--until", "2026-01-01"), "--since is later than --until"),
        (("report", "--since", "1900-01-01"), "is too long"),
        (("report", "--since", "2020-01-01", "--by", "hour"), "is too long"),
        (("report", "--since", "2025-10-21", "--by", "hour"), "kept for 90 days; use --by day"),
        (("export", "--since", "2025-10-21", "--by", "hour"), "kept for 90 days; use --by day"),
        (("report", "--by", "user"), "is not one of"),
        (("report", "--by", "day", "--by", "week"), "exclude each other"),
        (("export", "--by", "event"), "is not one of"),
        (("export", "--format", "xml"), "is not one of"),
        (("html",), "Missing option '-o' / '--output'"),
        (("html", "-o", "x.html", "--language", "ger"), "is not one of"),
        (("html", "-o", "-", "--json"), "give its name with --output"),
        (("export", "--json"), "give its name with --output"),
        (("report", "--by", "provder"), "Did you mean 'provider'?"),
        (("textfile", "-o", "/tmp/authhost.txt"), "write authhost.prom instead"),
        (("roll-up", "--every", "0"), "is not in the range"),
        (("prometheus", "--port", "70000"), "is not in the range"),
    ],
)
def test_a_bad_option_is_named(do, arguments, said):
    assert said in do(*arguments, code=2)


@pytest.mark.parametrize("command", ["html", "export", "textfile"])
def test_a_file_that_cannot_be_written(do, command):
    assert "cannot write /nowhere/at/all.prom" in do(command, "-o", "/nowhere/at/all.prom", code=1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has one")
@pytest.mark.parametrize("command", ["html", "export"])
def test_a_disk_that_is_full(do, command):
    assert "cannot write /dev/full: No space left" in do(command, "-o", "/dev/full", code=1)


def test_every_command_has_an_example(do):
    for name, command in analytics.commands.items():
        assert f"authhost analytics {name}" in do(name, "--help"), name
        assert command.help
    assert set(analytics.commands) == {
        "report",
        "html",
        "export",
        "prometheus",
        "textfile",
        "roll-up",
        "forget",
    }


@pytest.mark.parametrize(
    "values",
    [
        {"keep_days": 2},
        {"keep_days": 61},
        {"keep_hours_days": 29},
        {"keep_hours_days": 3661},
        {"smallest_count": 0},
        {"smallest_count": 1001},
        {"language": "xx"},
    ],
)
def test_settings_out_of_range(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        AnalyticsSettings(**values)


def test_an_empty_database(make, clock):
    host = make()
    for arguments in (("report",), ("report", "--json"), ("export",), ("roll-up",)):
        done = CliRunner().invoke(analytics, arguments, obj=CommandContext(host))
        assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("command", "name", "written"),
    [
        (("html",), "x.html", {"since": "2025-12-22", "until": "2026-01-20", "language": "en"}),
        (
            ("html", "--language", "ar"),
            "x.html",
            {"since": "2025-12-22", "until": "2026-01-20", "language": "ar"},
        ),
        (("export", "--format", "csv"), "x.csv", {"format": "csv", "rows": 1}),
        (("textfile",), "x.prom", {"metrics": 5}),
    ],
)
def test_what_was_written_as_json(do, tmp_path, command, name, written):
    file = tmp_path / name
    assert json.loads(do(*command, "--output", str(file), "--json")) == {"file": str(file), **written}
    assert file.stat().st_size


def test_what_was_written_in_words(host, tmp_path):
    for command, name, said in (
        ("html", "x.html", "wrote the report of 2025-12-22 to 2026-01-20 to {}\n"),
        ("export", "x.jsonl", "wrote 1 row to {}\n"),
        ("textfile", "x.prom", "wrote 5 metrics to {}\n"),
    ):
        file = tmp_path / name
        done = CliRunner().invoke(analytics, [command, "-o", str(file)], obj=CommandContext(host))
        assert done.output == said.format(file)


def test_the_language_of_the_page(make):
    host = make(analytics={"language": "de"})
    for options, tag in (((), "de"), (("--language", "fr"), "fr")):
        done = CliRunner().invoke(analytics, ["html", "-o", "-", *options], obj=CommandContext(host))
        assert f'<html lang="{tag}"' in done.stdout


def test_every_option_has_a_long_name_and_every_command_json():
    for name, command in analytics.commands.items():
        options = [each for each in command.params if isinstance(each, click.Option)]
        assert all(any(text.startswith("--") for text in each.opts) for each in options), name
        assert "--json" in {text for each in options for text in each.opts}, name
