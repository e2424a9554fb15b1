"""The command line of the trail."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys

import pytest
from authhost_audit.commands import audit as command, reading
from authhost_audit.retention import record_operation
from authhost_audit.tables import event_table
from authhost_audit.vocabulary import REASONS
from authhost_hookspecs import Actor
from click.testing import CliRunner
from command_server import run_command
from conftest import PASSWORD
from sqlalchemy import delete, update

from audit.trail import ANN, BOB, records, tamper
from authhost import AuthHost, Settings, errors
from authhost.errors import AuthError
from authhost.testing import CommandContext

KEY = "9rZkQ2vX7mLwT4pYc8sBnH1jUeGdFa6oViKx0tRqW3yEzNhP"

BLOCKED = "email,analytics,mfa"


def audit(file, *arguments, code=0, **environment):
    environment = {"AUTHHOST_SECRET_KEY": KEY, **environment}
    done = run_command("--config", str(file), "audit", *arguments, **environment)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_the_command_line(tmp_path):
    file = tmp_path / "site.toml"
    file.write_text(
        f'database_url = "sqlite:///{tmp_path / "site.sqlite3"}"\nemail_verification = "none"\n'
        f'[plugins.audit]\ncheckpoint_file = "{tmp_path / "checkpoints"}"\n'
    )
    settings = Settings.load(file, secret_key="k" * 48, blocked_plugins=("email", "analytics", "mfa"))
    with AuthHost(settings, upgrade_database=True) as host, host.request() as request:
        host.account.signup(request, email=ANN, password=PASSWORD)
    key = audit(file, "new-key").strip().partition("=")[2]
    environment = {"AUTHHOST_PLUGINS__AUDIT__SIGNING_KEY": key, "AUTHHOST_BLOCKED_PLUGINS": BLOCKED}
    assert "signing_key" in _error(file, "seal", {"AUTHHOST_BLOCKED_PLUGINS": BLOCKED})
    assert "nothing is sealed" in audit(file, "verify", code=1, **environment)
    line = json.loads(audit(file, "verify", "--json", code=1, **environment))
    assert (line["unsealed"], line["intact"], line["record"]) == (4, False, None)
    assert "batch 1: 5 records" in audit(file, "seal", **environment)
    assert "5 sealed records are intact" in audit(file, "verify", **environment)
    [line] = audit(file, "search", "--event", "user_logged_in", "--json", **environment).splitlines()
    record = json.loads(line)
    assert json.loads(audit(file, "proof", record["id"], **environment))["record"]["id"] == record["id"]
    output = tmp_path / "export.csv"
    audit(file, "export", "--format", "csv", "-o", str(output), **environment)
    assert "1 records are not sealed yet, the oldest is from 20" in audit(file, "verify", **environment)
    summary = json.loads(audit(file, "verify", "--json", **environment))
    assert (summary["intact"], summary["unsealed"], summary["notes"]) == (True, 1, [])
    assert len(output.read_text().splitlines()) == 1 + 6
    assert "0 records were deleted" in audit(file, "prune", **environment)
    assert "the personal fields of 3 records were erased" in audit(
        file, "forget", record["user_id"], "--yes", **environment
    )
    assert "there is no receiver; set syslog or webhook" in _error(file, "forward", environment)
    with sqlite3.connect(tmp_path / "site.sqlite3") as connection:
        connection.execute("UPDATE authhost_audit_event SET outcome = 'x' WHERE event = 'user_logged_in'")
    assert record["id"] in audit(file, "verify", "--json", code=1, **environment)
    assert "'x' is not an identifier" in _error(file, "proof", environment, "x", code=2)
    assert "was changed after it was sealed" in _error(file, "proof", environment, record["id"])
    assert "file /nowhere does not exist" in _error(file, "verify", environment, "--checkpoint", "/nowhere")
    assert "cannot be written" in _error(file, "export", environment, "-o", "/nowhere/at/all")


def _error(file, command, environment, *arguments, code=1):
    environment = {"AUTHHOST_SECRET_KEY": "k1" * 24, **environment}
    done = run_command("--config", str(file), "audit", command, *arguments, **environment)
    assert done.returncode == code
    return done.stderr


@pytest.mark.parametrize("command", [("tail", "-f"), ("seal", "--every", "60")])
def test_ctrl_c_exits_with_0(tmp_path, command):
    url = f"sqlite:///{tmp_path / 'site.sqlite3'}"
    settings = Settings.load(database_url=url, secret_key="k" * 48, email_verification="none")
    with AuthHost(settings, upgrade_database=True) as host, host.request() as request:
        host.account.signup(request, email=ANN, password=PASSWORD)
    key = audit("/dev/null", "new-key").strip().partition("=")[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "authhost.cli", "audit", *command],
        env={
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "AUTHHOST_DATABASE_URL": url,
            "AUTHHOST_SECRET_KEY": "k" * 48,
            "AUTHHOST_EMAIL_VERIFICATION": "none",
            "AUTHHOST_PLUGINS__AUDIT__SIGNING_KEY": key,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background ignores SIGINT, so restore the default.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 0


def invoke(host, *arguments, code=0):
    """Run a command on this host. Returns its standard output and its standard error."""
    result = CliRunner().invoke(command, arguments, obj=CommandContext(host), env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr


def test_search_accepts_the_beginning_or_end_of_an_identifier(host, run):
    user = run(host, "signup", email=ANN, password=PASSWORD).user
    run(host, "signup", email=BOB, password=PASSWORD)
    part = str(user.id)[-12:]
    assert str(user.id) in invoke(host, "tail")[0]
    for given in (part, part.upper(), str(user.id), user.id.hex, str(user.id)[-17:]):
        lines = invoke(host, "search", "--user", given, "--json")[0].splitlines()
        assert {json.loads(each)["user_id"] for each in lines} == {str(user.id)}
        assert len(lines) == 4


def test_an_ambiguous_part_is_refused_with_all_users(host, run):
    users = [run(host, "signup", email=email, password=PASSWORD).user for email in (ANN, BOB)]
    _, complaint = invoke(host, "search", "--user", str(users[0].id)[:8], code=1)
    assert all(str(user.id) in complaint for user in users)


@pytest.mark.parametrize("command", ["search", "tail", "export", "top --by user"])
def test_users_are_found_by_address_username_or_identifier(host, run, command):
    user = run(host, "signup", email=ANN, username="cafe", password=PASSWORD).user
    other = run(host, "signup", email=BOB, username="bob", password=PASSWORD).user
    as_json = () if command == "export" else ("--json",)

    def found(option, name):
        return invoke(host, *command.split(), option, name, *as_json)[0].splitlines()

    for option in ("--user", "--actor"):
        expected = found(option, str(user.id))
        assert len(expected) < len(found(option, str(other.id)) + expected)
        for name in (ANN, "Ann@Example.org", "cafe", "CAFE"):
            assert found(option, name) == expected


@pytest.mark.parametrize("command", ["search", "tail", "export", "top --by user"])
def test_an_unknown_user_is_refused_with_what_to_do(host, run, command):
    run(host, "signup", email=ANN, password=PASSWORD)
    for name in ("anna@example.org", "nobody", "0123456789ab"):
        complaint = " ".join(invoke(host, *command.split(), "--user", name, code=1)[1].split())
        assert f"there is no account {name}." in complaint
        assert "`authhost users find` searches by beginnings." in complaint
        assert "A deleted account is found by its identifier." in complaint
    assert "Did you mean ann@example.org?" in invoke(host, "search", "--user", "anna@example.org", code=1)[1]
    assert records(host, event="audit_exported") == []


def test_a_deleted_user_is_found_by_the_identifier(host, run):
    user = run(host, "signup", email=ANN, password=PASSWORD).user
    host.users.delete(user.id, actor=Actor("operator", name="olga"))
    for name in (str(user.id), str(user.id)[:20], str(user.id)[-12:]):
        lines = invoke(host, "search", "--user", name, "--json")[0].splitlines()
        assert "user_deleted" in {json.loads(each)["event"] for each in lines}
    assert "there is no account" in invoke(host, "search", "--user", ANN, code=1)[1]


def test_a_beginning_of_an_account_and_of_a_deleted_one_is_ambiguous(host, run):
    gone, here, _ = [
        run(host, "signup", email=email, password=PASSWORD).user for email in (ANN, BOB, "third@example.org")
    ]
    beginning = str(here.id)[:8]
    assert str(gone.id).startswith(beginning)
    host.users.delete(gone.id, actor=Actor("operator", name="olga"))
    complaint = invoke(host, "search", "--user", beginning, code=1)[1]
    assert str(gone.id) in complaint
    assert str(here.id) in complaint


def test_a_beginning_of_several_accounts_is_ambiguous_if_one_has_records(host, run):
    users = [run(host, "signup", email=email, password=PASSWORD).user for email in (ANN, BOB)]
    tamper(host, delete(event_table).where(event_table.c.user_id == users[1].id))
    complaint = invoke(host, "search", "--user", str(users[0].id)[:8], code=1)[1]
    assert all(str(user.id) in complaint for user in users)


def test_the_table_shows_whole_identifiers_in_80_columns(host, run):
    user = run(host, "signup", email=ANN, password=PASSWORD).user
    result = CliRunner().invoke(command, ["tail"], obj=CommandContext(host), env={"COLUMNS": "80"})
    assert max(map(len, result.stdout.splitlines())) <= 80
    words = result.stdout.split()
    assert str(user.id) in words
    assert all(record["id"] in words for record in records(host))


def test_search_by_actor_and_user_agent(host, run):
    user = run(host, "signup", email=ANN, password=PASSWORD).user
    with host.request(ip_address="127.0.0.1", user_agent="Browser 100%") as request:
        host.account.login(request, identifier=ANN, password=PASSWORD)
    with host.request(ip_address="127.0.0.1", user_agent="Browser 1000") as request:
        host.account.login(request, identifier=ANN, password=PASSWORD)
    found = invoke(host, "search", "--user-agent", "er 100%", "--json")[0].splitlines()
    assert {json.loads(each)["user_agent"] for each in found} == {"Browser 100%"}
    found = invoke(host, "search", "--actor", str(user.id)[-12:], "--json")[0].splitlines()
    assert [json.loads(each)["id"] for each in found] == [
        each["id"] for each in records(host) if each["actor_id"] == str(user.id)
    ]
    assert found
    assert "there is no account zoe" in invoke(host, "search", "--actor", "zoe", code=1)[1]


def test_show_prints_all_fields_of_a_record(host, run):
    run(host, "signup", email=ANN, password=PASSWORD)
    record = records(host, event="user_signed_up")[0]
    for given in (record["id"], record["id"].replace("-", ""), record["id"][:-1].upper()):
        assert json.loads(invoke(host, "show", given, "--json")[0]) == record
    text = invoke(host, "show", record["id"])[0]
    assert all(value in text for value in (record["id"], record["user_id"], record["ip_address"]))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("ann", "is not an identifier"),
        ("012", "at least four"),
        ("0" * 33, "is not an identifier"),
        ("ffff", "no record has"),
    ],
)
def test_show_refuses_what_is_no_record(host, given, sentence):
    assert sentence in " ".join(invoke(host, "show", given, code=2)[1].split())


def test_show_lists_the_records_that_an_ambiguous_beginning_fits(host, run):
    run(host, "signup", email=ANN, password=PASSWORD)
    identifiers = [each["id"] for each in records(host)]
    _, complaint = invoke(host, "show", identifiers[0][:4], code=2)
    assert all(each in complaint for each in identifiers[:5])


def test_top_counts_the_selected_records(host, run):
    user = run(host, "signup", email=ANN, password=PASSWORD).user
    for identifier in (ANN, ANN, "nobody@example.org"):
        with pytest.raises(AuthError):
            run(host, "login", identifier=identifier, password="wrong " + PASSWORD)

    def top(*arguments):
        return [json.loads(line) for line in invoke(host, "top", "--json", *arguments)[0].splitlines()]

    refused = ("--event", "flow_refused")
    assert top("--by", "reason", *refused) == [{"reason": "invalid_credentials", "records": 3}]
    assert top("--by", "ip", *refused) == [{"ip": "127.0.0.1", "records": 3}]
    assert [each["records"] for each in top("--by", "identifier", *refused)] == [2, 1]
    assert [each["records"] for each in top("--by", "identifier", "-n", "1", *refused)] == [2]
    mine = len(records(host, user_id=user.id))
    assert top("--by", "user", "--user", str(user.id)) == [{"user": str(user.id), "records": mine}]
    assert top("--by", "reason", "--since", "2999-01-01") == []
    assert "no record matches" in "".join(invoke(host, "top", "--by", "ip", "--since", "2999-01-01"))


def test_commands_that_change_the_trail_print_json(host, run):
    user = run(host, "signup", email=ANN, password=PASSWORD).user
    assert json.loads(invoke(host, "prune", "--json")[0]) == {"deleted": 0}
    erased = json.loads(invoke(host, "forget", str(user.id), "--yes", "--json")[0])
    assert erased["user_id"] == str(user.id)
    assert erased["erased"] > 0
    for name in (ANN, str(user.id)[:13]):
        again = json.loads(invoke(host, "forget", name, "--yes", "--json")[0])
        assert again == {"user_id": str(user.id), "erased": 0}
    assert "there is no account zoe" in invoke(host, "forget", "zoe", "--yes", code=1)[1]
    out, complaint = invoke(host, "new-key", "--json")
    assert set(json.loads(out)) == {"signing_key", "public_key"}
    assert complaint == ""


def test_search_prints_how_many_records_match(host, run, monkeypatch):
    for number in range(3):
        run(host, "signup", email=f"u{number}@example.org", password=PASSWORD)
    assert invoke(host, "search", "-n", "5", "--json")[1] == ""
    assert invoke(host, "search", "-n", "5")[1] == "the newest 5 of 13 records; -n 13 shows all\n"
    assert invoke(host, "search", "-n", "13")[1] == "13 records match\n"
    assert invoke(host, "search", "-n", "0")[1] == "the newest 0 of 13 records; -n 13 shows all\n"
    signups = ("--event", "user_signed_up")
    assert invoke(host, "search", "-n", "1", *signups)[1].startswith("the newest 1 of 3 records;")
    assert invoke(host, "search", *signups, "--user", "u1@example.org")[1] == "1 record matches\n"
    assert invoke(host, "search", "--since", "2999-01-01")[1] == "0 records match\n"
    printed = json.loads(invoke(host, "search", "--json", "-n", "1")[0])["time"]
    for since in (printed, printed.replace("+00:00", "Z"), "999w"):
        assert invoke(host, "search", "--since", since)[0]
    monkeypatch.setattr(reading, "MAX_COUNTED", 6)
    assert invoke(host, "search", "-n", "5")[1].startswith("the newest 5 of more than 6 records;")
    assert invoke(host, "search", "-n", "12")[1].startswith("the newest 12 of more than 12 records;")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--event", "user_loged_in"], "did you mean user_logged_in?"),
        (["--event", "nonsense"], "use one of: account_ready"),
        (["--reason", "invalid_credential"], "did you mean invalid_credentials?"),
        (["--reason", "nonsense"], "no record has the reason 'nonsense'"),
        (["--reason", "plugin_failed"], "have the reason vetoed"),
        (["--ip", "999.1.1.1"], "is not an IP address"),
        (["--since", "2026-02-01", "--until", "2026-01-01"], "--since must be before --until"),
        (["--request", "1"], "is not an identifier"),
    ],
)
@pytest.mark.parametrize("command", ["search", "export"])
def test_options_that_no_record_can_match_are_refused(host, command, options, sentence):
    assert sentence in " ".join(invoke(host, command, *options, code=2)[1].split())
    assert records(host, event="audit_exported") == []


def test_a_reason_of_a_plugin_is_found(make, run, host):
    record_operation(host, "audit_exported")
    tamper(host, update(event_table).values(reason="members_only"))
    assert "members_only" in invoke(host, "search", "--reason", "members_only", "--json")[0]


def test_attempts_are_found_by_the_typed_identifier(host, run):
    for typed in ("Straße", "ann@bücher.example", "x"):
        with pytest.raises(AuthError):
            run(host, "login", identifier=typed, password="wrong")
    for address in ("STRASSE", "ann@xn--bcher-kva.example"):
        assert len(invoke(host, "search", "--address", address, "--json")[0].splitlines()) == 1


def test_ipv6_is_found_in_every_notation(host):
    with pytest.raises(AuthError), host.request(ip_address="2001:db8::7") as request:
        host.account.login(request, identifier=ANN, password="wrong")
    out, _ = invoke(host, "search", "--ip", "2001:DB8:0:0:0:0:0:7", "--json")
    assert len(out.splitlines()) == 1


def test_each_error_code_is_a_known_reason():
    """`search --reason` refuses a code that is missing here as a spelling mistake."""
    codes, kinds = set(), [errors.AuthError]
    while kinds:
        kinds += (kind := kinds.pop()).__subclasses__()
        if kind is not errors.AuthError and kind.__module__ == errors.__name__:
            codes.add(kind.code)
    assert codes - REASONS == set()


def test_seal_warns_about_a_clock_that_was_ahead(host, run, clock):
    run(host, "signup", email=ANN, password=PASSWORD)
    clock.forward(hours=24)
    invoke(host, "seal")
    clock.forward(hours=-24)
    run(host, "login", identifier=ANN, password=PASSWORD)
    out, warning = invoke(host, "seal")
    assert "warning: batch 1 was sealed at 2026-01-02T00:00:00Z" in warning
    assert "batch 2" in out
    assert "note: batch 1 was sealed at 2026-01-02T00:00:00Z" in invoke(host, "verify")[1]
    assert len(json.loads(invoke(host, "verify", "--json")[0])["notes"]) == 1
