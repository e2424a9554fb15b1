"""The plugin in flows, its settings and its findings."""

from __future__ import annotations

import logging
import os
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest
from authhost_breached_passwords import plugin
from authhost_breached_passwords.checks import check_sources
from authhost_breached_passwords.settings import BreachedPasswordsSettings

from authhost.cli.checks import problems
from authhost.errors import Vetoed
from authhost.testing import OTHER_PASSWORD, PASSWORD
from authhost.testing.conformance.checked_plugin import CheckedPlugin
from authhost.testing.conformance.runner import check
from breached_passwords.conftest import send, sha1_hex

ANN = "ann@example.org"
BREACHED = "correct horse battery staple"


@pytest.fixture
def make(make_host):
    """Create hosts with the plugin and its settings."""

    def make(settings, **more):
        plugins = {"breached_passwords": plugin}
        return make_host(plugins, plugin_settings={"breached_passwords": settings}, **more)

    return make


@pytest.fixture(params=["file", "server", "both"])
def host(request, make, hash_file, range_server):
    """A host that knows `BREACHED` as breached, by a file, by a server, or by the second of both."""
    range_server.passwords = {BREACHED: 3}
    known = {"an otter reads the news": 1} if request.param == "both" else {BREACHED: 3, OTHER_PASSWORD: 1}
    settings = {
        "file": {"file": hash_file(known), "minimum_count": 2},
        "server": {"range_url": range_server.url},
        "both": {"file": hash_file(known), "range_url": range_server.url},
    }
    return make({"timeout": 30.0, "on_failure": "refuse", **settings[request.param]})


def refused(host, run, flow, token=None, **values):
    with pytest.raises(Vetoed) as caught:
        run(host, flow, token, **values)
    return caught.value


def test_each_new_password_is_checked(host, run, recorder):
    error = refused(host, run, "signup", email=ANN, password=BREACHED)
    assert dict(error.fields) == {
        "plugin_code": "breached_password",
        "plugin": "breached_passwords",
        "field": "password",
    }
    assert "known from a data breach" in str(error)
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    changed = {"current_password": PASSWORD, "new_password": BREACHED}
    assert refused(host, run, "change_password", token, **changed).fields["field"] == "new_password"
    run(host, "change_password", token, current_password=PASSWORD, new_password=OTHER_PASSWORD)
    run(host, "request_password_reset", email=ANN)
    key = recorder.key()
    assert refused(host, run, "reset_password", key=key, password=BREACHED).fields["field"] == "password"
    run(host, "reset_password", key=key, password=PASSWORD)


def test_a_login_is_not_checked(make, run, hash_file):
    host = make({"file": hash_file({"an otter reads the news": 1})})
    run(host, "signup", email=ANN, password=PASSWORD)
    hash_file({PASSWORD: 5})
    assert run(host, "login", identifier=ANN, password=PASSWORD).authenticated


def test_without_file_and_server_nothing_is_checked(make, run):
    run(make({}), "signup", email=ANN, password=BREACHED)


def test_a_server_that_fails_lets_passwords_pass(make, run, range_server, caplog):
    range_server.answer = lambda request: send(request, "", 500)
    host = make({"range_url": range_server.url, "timeout": 30.0})
    run(host, "signup", email=ANN, password=BREACHED)
    [record] = [each for each in caplog.records if each.name == "authhost.breached_passwords"]
    assert record.levelno == logging.WARNING
    assert "the range server 127.0.0.1 returned the status 500" in record.getMessage()
    assert sha1_hex(BREACHED)[:5] not in caplog.text.upper()
    assert len(range_server.requests) == 1


def test_a_server_that_fails_stops_the_flow_if_the_operator_wants_it(make, run, range_server):
    range_server.answer = lambda request: send(request, "", 500)
    host = make({"range_url": range_server.url, "timeout": 30.0, "on_failure": "refuse"})
    error = refused(host, run, "signup", email=ANN, password=PASSWORD)
    assert error.fields["plugin_code"] == "breach_check_unavailable"
    assert "cannot be checked" in str(error)


def test_a_file_that_fails_is_logged_without_a_place(make, run, tmp_path, caplog):
    path = tmp_path / "hashes.txt"
    path.write_text("no hashes\n" * 100)
    run(make({"file": str(path)}), "signup", email=ANN, password=BREACHED)
    assert f"because the file {path} is not usable: it has a line that is not a hash" in caplog.text
    refuse = make({"file": str(tmp_path / "nowhere.txt"), "on_failure": "refuse"})
    error = refused(refuse, run, "signup", email="bob@example.org", password=PASSWORD)
    assert error.fields["plugin_code"] == "breach_check_unavailable"


@pytest.mark.parametrize("source", ["file", "server"])
def test_an_empty_source_is_a_failure(make, run, source, range_server, tmp_path):
    (tmp_path / "hashes.txt").touch()
    range_server.answer = lambda request: send(request, "")
    place = {"file": str(tmp_path / "hashes.txt")} if source == "file" else {"range_url": range_server.url}
    host = make({**place, "timeout": 30.0, "on_failure": "refuse"})
    error = refused(host, run, "signup", email=ANN, password=PASSWORD)
    assert error.fields["plugin_code"] == "breach_check_unavailable"


def test_a_breach_counts_although_the_other_source_fails(make, run, range_server, tmp_path):
    range_server.passwords = {BREACHED: 3}
    settings = {"file": str(tmp_path / "nowhere.txt"), "range_url": range_server.url, "timeout": 30.0}
    error = refused(make(settings), run, "signup", email=ANN, password=BREACHED)
    assert error.fields["plugin_code"] == "breached_password"


# Settings.


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"on_failure": "maybe"}, "on_failure must be one of accept, refuse"),
        ({"timeout": 0}, "timeout must be above 0"),
        ({"timeout": float("nan")}, "timeout must be above 0"),
        ({"timeout": float("inf")}, "at most 60 seconds"),
        ({"minimum_count": 0}, "minimum_count must be above 0"),
        ({"max_response": -1}, "max_response must be above 0"),
        ({"range_url": "http://range.example.org/range"}, "must begin with https://"),
        ({"range_url": "ftp://127.0.0.1/range"}, "must begin with https://"),
        ({"range_url": "range.example.org"}, "must have the form https://HOST/PATH"),
        ({"range_url": "https://user:word@range.example.org"}, "must have the form https://HOST/PATH"),
        ({"range_url": "https://range.example.org/?of="}, "must have the form https://HOST/PATH"),
        ({"range_url": "https://range.example.org/ä"}, "must be ASCII without spaces"),
        ({"range_url": "https://range.example.org/a\r\nX: y"}, "must be ASCII without spaces"),
        ({"range_url": "https://range.example.org/a b"}, "must be ASCII without spaces"),
        ({"range_url": 'https://range.example.org/<"'}, "a path without special characters"),
        ({"range_url": "https://range.example.org:99999/"}, "is not a URL"),
        ({"range_url": "https://range.example.org:0/"}, "a port above 0"),
        ({"range_url": "https://[::1/range"}, "is not a URL"),
        ({"range_url": "https://range..org/"}, "is no host name"),
        ({"range_url": f"https://{'a' * 64}.org/"}, "is no host name"),
        ({"range_url": "https://-range.org/"}, "is no host name"),
    ],
)
def test_a_wrong_setting_is_named(settings, problem):
    with pytest.raises(ValueError, match=problem):
        BreachedPasswordsSettings(**settings)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.pwnedpasswords.com/range",
        "http://localhost:8080/range",
        "http://[::1]/range",
        "https://a-b.example.org.:8443/x/%20y",
    ],
)
def test_right_urls(url):
    assert BreachedPasswordsSettings(range_url=url).range_url == url


# Findings.


def findings(make, settings, **more):
    return [(each.level, each.problem) for each in check_sources(make(settings, **more))]


def test_nothing_is_set(make):
    [(level, problem)] = findings(make, {})
    assert (level, "neither file nor range_url" in problem) == ("warning", True)


def test_findings_about_the_file(make, hash_file, tmp_path, clock):
    path = hash_file({"a": 1, "b": 2})
    changed = clock() - timedelta(days=30)
    os.utime(path, (changed.timestamp(),) * 2)
    assert findings(make, {"file": path}) == []
    clock.forward(days=400)
    [(level, problem)] = findings(make, {"file": path})
    assert (level, f"{path} is 430 days old" in problem) == ("warning", True)
    [(level, problem)] = findings(make, {"file": str(tmp_path / "nowhere.txt")})
    assert (level, "nowhere.txt cannot be read" in problem) == ("error", True)
    (tmp_path / "unsorted.txt").write_text(f"{'B' * 40}:1\n{'A' * 40}:1\n")
    [(level, problem)] = findings(make, {"file": str(tmp_path / "unsorted.txt")})
    assert (level, "is not larger than the lines before it" in problem) == ("error", True)


def test_findings_about_the_server(make, range_server):
    settings = {"range_url": range_server.url, "timeout": 30.0}
    [(level, problem)] = findings(make, settings)
    assert (level, "does not know the password 'password'" in problem) == ("error", True)
    range_server.passwords = {"password": 10_000_000}
    assert findings(make, settings) == []
    range_server.answer = lambda request: send(request, "", 403)
    [(level, problem)] = findings(make, settings)
    assert (level, "returned the status 403" in problem) == ("error", True)


def test_the_check_command_shows_them(make):
    shown = [each.problem for each in problems(make({}))]
    assert any("neither file nor range_url" in each for each in shown)


@pytest.mark.parametrize("source", ["none", "file", "server", "failing"])
def test_the_plugin_passes_the_conformance_suite(source, hash_file, range_server):
    settings = {
        "none": {},
        "file": {"file": hash_file({BREACHED: 3})},
        "server": {"range_url": range_server.url, "timeout": 30.0},
        "failing": {"file": hash_file({BREACHED: 3}) + ".missing"},
    }[source]
    report = check(CheckedPlugin("breached_passwords", plugin, settings))
    assert [each for each in report.verdicts if each.outcome == "failed"] == []


def test_the_page_has_every_setting_with_its_default():
    page = (Path(__file__).parents[2] / "docs" / "breached-passwords.md").read_text(encoding="utf-8")
    for each in fields(BreachedPasswordsSettings):
        default = f"`{each.default}`" if each.name == "on_failure" else f"{each.default}"
        row = f"| `{each.name}` | {default.removesuffix('.0')} |".replace("|  |", "| |")
        assert row in page
