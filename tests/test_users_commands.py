"""``authhost users``: each command with right, wrong, missing and hostile input."""

from __future__ import annotations

import json
import os
import stat
from typing import get_args

import pytest
from authhost_hookspecs import Actor
from click.testing import CliRunner
from sqlalchemy import text

from authhost import AuthHost, Settings
from authhost.cli.main import cli
from authhost.cli.users import users as group
from authhost.cli.users.reading import FILTERS
from authhost.users.directory import UserFilter

SECRET = "9rZkQ2vX7mLwT4pYc8sBnH1jUeGdFa6oViKx0tRqW3yEzNhP"
ROOT = Actor("operator", name="root")
ANN, BOB = "ann@example.org", "bob@example.org"
WITH_USER = sorted(
    name for name, each in group.commands.items() if any(one.name == "user" for one in each.params)
)
EXTRA = {
    "disconnect": ("github",),
    "impersonate": ("--reason", "x"),
    "remove-factors": ("--reason", "x"),
}
CONFIRMED = sorted(
    name for name, each in group.commands.items() if any(one.name == "yes" for one in each.params)
)


@pytest.fixture
def settings(tmp_path):
    return Settings(
        secret_key=SECRET,
        database_url=f"sqlite:///{tmp_path / 'site.sqlite3'}",
        plugins=("audit", "email"),
    )


@pytest.fixture
def host(settings):
    pytest.importorskip("authhost_email", reason="SKIPPED: run `pip install authhost-email`")
    pytest.importorskip("authhost_audit", reason="SKIPPED: run `pip install authhost-audit`")
    with AuthHost(settings, upgrade_database=True, background=False) as host:
        yield host


@pytest.fixture
def ann(host):
    return host.users.create(ANN, username="ann", actor=ROOT)


@pytest.fixture
def call(host, settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTHHOST_SECRET_KEY", SECRET)
    monkeypatch.setenv("AUTHHOST_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("AUTHHOST_PLUGINS", "audit,email")
    monkeypatch.setenv("COLUMNS", "80")

    def call(*args, code=0):
        result = CliRunner().invoke(cli, ["users", *args])
        assert result.exit_code == code, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return call


def rows(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def sent(host):
    with host.engine.connect() as connection:
        found = connection.execute(text("SELECT kind, recipient FROM authhost_email_outbox"))
        return [tuple(row) for row in found]


def test_create_invites_and_names_the_operator(call, host):
    [made] = rows(call("create", ANN, "--username", "ann", "--actor", "Root", "--json"))
    assert (made["email"], made["username"], made["invited"]) == (ANN, "ann", True)
    assert sent(host) == [("invitation", ANN)]
    with host.engine.connect() as connection:
        data = connection.execute(
            text("SELECT data FROM authhost_audit_event WHERE event = 'user_signed_up'")
        ).scalar_one()
    assert json.loads(data)["actor"] == {"kind": "operator", "name": "Root"}


def test_create_without_an_invitation(call, host):
    call("create", ANN, "--verified", "--no-invite")
    assert host.users.get(ANN).email_verified
    call("create", "--username", "bob")
    assert [kind for kind, _ in sent(host)] == ["welcome"]


def test_invite_creates_and_sends_again(call, host):
    call("invite", ANN)
    call("invite", ANN)
    assert [kind for kind, _ in sent(host)] == ["invitation", "invitation"]
    assert "no account" in call("invite", "nobody", code=1).output


def test_find_and_list(call, host, ann):
    bob = host.users.create(BOB, actor=ROOT)
    assert [each["id"] for each in rows(call("find", "bob@", "--json"))] == [str(bob.id)]
    assert str(ann.id) in call("find", "ann").stdout
    call("find", "zebra", code=1)
    assert [each["id"] for each in rows(call("list", "--json"))] == [str(bob.id), str(ann.id)]
    page = call("list", "-n", "1")
    assert f"--before {bob.id}" in page.stderr
    assert [each["id"] for each in rows(call("list", "--before", str(bob.id), "--json"))] == [str(ann.id)]
    assert len(rows(call("list", "--all", "--only", "unverified", "--json"))) == 2
    assert rows(call("list", "--since", "2999-01-01", "--json")) == []
    call("list", "--since", "yesterday", code=2)
    call("list", "--all", "--since", "7d", code=2)


def test_tables_fit_and_identifiers_stay_whole(call, ann):
    for args in (("list",), ("find", "ann"), ("show", "ann")):
        output = call(*args).stdout
        assert max(map(len, output.splitlines())) <= 80
        assert str(ann.id) in output


def test_show_has_everything_but_secrets(call, host, ann):
    host.users.deactivate(ann.id, reason="Spam.", actor=ROOT)
    [found] = rows(call("show", ANN, "--json"))
    assert (found["active"], found["deactivation_reason"]) == (False, "Spam.")
    assert found["email_addresses"] == [{"email": ANN, "verified": False, "primary": True}]
    assert (found["sessions"], found["social_accounts"]) == ([], [])
    assert "Spam." in call("show", "ann").stdout


def test_verify_deactivate_reactivate(call, host, ann):
    call("verify", "ann")
    assert host.users.read(ann.id).user.email_verified
    call("deactivate", "ann", "--until", "7d", "--reason", "Spam.", "--yes")
    user = host.users.read(ann.id).user
    assert (user.is_active, user.deactivation_reason) == (False, "Spam.")
    assert user.deactivated_until is not None
    call("deactivate", "ann", "--until", "2001-01-01", "--yes", code=1)
    call("deactivate", "ann", "--until", "soon", "--yes", code=2)
    call("reactivate", str(ann.id))
    assert host.users.read(ann.id).user.is_active


def test_resets(call, host, ann):
    call("send-reset", "ann")
    call("send-reset", "ann", "--email", BOB, code=1)
    call("require-reset", "ann", "--yes")
    [shown] = rows(call("show", "ann", "--json"))
    assert shown["password_reset_required"] is False  # it has no password
    assert [kind for kind, _ in sent(host)] == ["password_reset", "password_reset"]


def test_impersonate_prints_a_link_that_works_once(call, host, ann):
    link = call("impersonate", "ann", "--reason", "Ticket 4711").stdout.strip()
    assert link.startswith(host.build_url("impersonate", key=""))
    with host.request() as request:
        begun = host.users.begin_impersonation(request, key=link.rpartition("/")[2])
        assert (request.user.id, request.actor) == (ann.id, begun.session.actor)
    assert begun.session.impersonation_reason == "Ticket 4711"
    assert sent(host) == [("impersonation", ANN)]
    [made] = rows(call("impersonate", "ann", "--reason", "x", "--actor", "Root", "--json"))
    assert set(made) == {"id", "url"}
    call("impersonate", "ann", code=2)
    assert "(invalid_input, field reason)" in call("impersonate", "ann", "--reason", " ", code=1).output
    call("deactivate", "ann", "--yes")
    assert "account_inactive" in call("impersonate", "ann", "--reason", "x", code=1).output


def test_sessions(call, ann):
    assert rows(call("sessions", "ann", "--json")) == []
    assert rows(call("end-sessions", "ann", "--yes", "--json")) == [{"id": str(ann.id), "ended": 0}]
    call("end-sessions", "ann", str(ann.id), "--yes", code=1)
    call("end-sessions", "ann", "not-a-uuid", "--yes", code=2)
    assert "none" in call("disconnect", "ann", "github", "--yes", code=1).output


def test_export_and_delete(call, host, ann, tmp_path):
    assert json.loads(call("export", "ann").stdout)["account"]["email"] == ANN
    file = tmp_path / "ann.json"
    call("export", "ann", "-o", str(file))
    assert json.loads(file.read_text(encoding="utf-8"))["account"]["username"] == "ann"
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "--force" in call("export", "ann", "-o", str(file), code=1).output
    call("export", "ann", "-o", str(file), "--force")
    call("export", "ann", "-o", str(tmp_path / "no" / "ann.json"), code=1)
    call("delete", "ann", "--yes")
    assert host.users.read(ann.id) is None


def test_stats(call, ann):
    [found] = rows(call("stats", "--json"))
    assert (found["total"], found["active"]) == (1, 1)
    assert "with password" in call("stats").stdout


@pytest.mark.parametrize("name", CONFIRMED)
def test_what_destroys_is_confirmed(call, host, ann, name):
    extra = EXTRA.get(name, ())
    if name == "disconnect":
        pytest.skip("there is no connection to confirm")
    result = call(name, "ann", *extra, code=2)
    assert "--yes" in result.output
    assert ANN in result.output
    assert str(ann.id) in result.output
    assert host.users.read(ann.id).user.is_active


@pytest.mark.parametrize("name", WITH_USER)
def test_an_unknown_user_is_told_with_a_name_that_is_like_it(call, ann, name):
    extra = EXTRA.get(name, ())
    yes = ("--yes",) if name in CONFIRMED else ()
    output = call(name, "anne", *extra, *yes, code=1).output
    assert "no account anne" in output
    assert "Did you mean ann" in output
    for hostile in ("\x1b[31mann", "a" * 300, "", "%", "' OR 1=1 --"):
        output = call(name, hostile, *extra, *yes, code=1).output
        assert "\x1b" not in output


def test_an_ambiguous_identifier_lists_the_candidates(call, host, ann):
    bob = host.users.create(BOB, actor=ROOT)
    output = call("show", ann.id.hex[:4], code=1).output
    assert str(ann.id) in output
    assert str(bob.id) in output


def test_the_command_knows_all_filters():
    assert set(FILTERS) == set(get_args(UserFilter))


def test_a_wrong_actor(call, ann):
    call("reactivate", "ann", "--actor", "a\nb", code=2)


def test_help_opens_no_host(monkeypatch):
    monkeypatch.setattr("authhost.cli.lazy_host.LazyHost._open", None)
    for name in ("users", *(f"users {each}" for each in group.commands)):
        result = CliRunner().invoke(cli, [*name.split(), "--help"])
        assert result.exit_code == 0
        assert "Example" in result.output or name == "users"
        assert not [line for line in result.output.splitlines() if line.endswith("...") and line[0] == " "]


def test_a_database_that_does_not_exist_is_a_sentence(call, monkeypatch, tmp_path):
    monkeypatch.setenv("AUTHHOST_DATABASE_URL", f"sqlite:///{tmp_path / 'other.sqlite3'}")
    assert "authhost db upgrade" in call("list", code=2).output
