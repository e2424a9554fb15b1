"""``authhost email``."""

from __future__ import annotations

import json
import threading
from http.server import ThreadingHTTPServer
from urllib.request import urlopen

import pytest
from authhost_email import commands
from authhost_email.commands import delivery
from authhost_email.languages import LANGUAGES
from authhost_email.leases import Leases
from authhost_email.outbox import Outbox
from authhost_email.preview import page as preview_page, server as preview_server
from authhost_email.rendering import KINDS
from authhost_email.samples import samples_for_host
from authhost_email.settings import EmailSettings
from click.testing import CliRunner
from command_server import run_command
from conftest import CHEAP, PASSWORD
from sqlalchemy.exc import OperationalError

from authhost import AuthHost, Settings
from authhost.testing import CommandContext
from email_plugin.helpers import ANN, BOB, outbox, queue, rows


def email(file, *arguments, code=0):
    environment = {"AUTHHOST_SECRET_KEY": "k1" * 24, "AUTHHOST_BLOCKED_PLUGINS": "audit,analytics,mfa"}
    done = run_command("--config", str(file), "email", *arguments, **environment)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_command_line(tmp_path):
    file = tmp_path / "site.toml"
    file.write_text(
        f'database_url = "sqlite:///{tmp_path / "site.sqlite3"}"\n'
        f'[plugins.email]\ndelivery = "manual"\ndirectory = "{tmp_path / "mail"}"\n'
    )
    settings = Settings.load(
        file, secret_key="k" * 48, blocked_plugins=("audit", "analytics", "mfa"), password_hash_options=CHEAP
    )
    with AuthHost(settings, upgrade_database=True) as host, host.request(language="de") as request:
        host.account.signup(request, email=ANN, password=PASSWORD)
    listed = [json.loads(line) for line in email(file, "outbox", "--json").splitlines()]
    assert [(each["kind"], each["language"]) for each in listed][:1] == [("email_confirmation", "de")]
    assert "key" not in email(file, "outbox")
    assert "will not be sent" in email(file, "cancel", listed[0]["id"])
    assert "cannot be tried again" in email(file, "retry", listed[0]["id"], code=1)
    assert "nothing will be sent" in email(file, "suppress", "Bounced@example.org")
    assert "already suppressed" in email(file, "suppress", "bounced@example.org")
    assert "bounced@example.org" in email(file, "suppressed", "--json")
    assert "is not suppressed any more" in email(file, "allow", "bounced@example.org")
    assert "was not suppressed" in email(file, "allow", "bounced@example.org")
    assert "1 sent" in email(file, "deliver")  # the welcome
    assert "0 messages were deleted" in email(file, "clean")
    assert "file accepted the message" in email(file, "send-test", "me@example.org", "--language", "ja")
    assert "Réinitialise" in email(file, "preview", "password_reset", "--language", "fr")
    assert "name a message" in email(file, "preview", code=2)
    assert len(list((tmp_path / "mail").glob("*.eml"))) == 2


@pytest.mark.parametrize("given", ["ann@xn--exmple-cua.org", " ann@exämple.org "])
def test_suppress_accepts_each_notation_of_an_address(make, fake, run, given):
    host = make(email={"transport": "fake"})
    run(host, "request_password_reset", email="ann@exämple.org")
    done = CliRunner().invoke(commands.email, ["suppress", given], obj=CommandContext(host))
    assert done.exit_code == 0, done.output
    assert outbox(host).deliver_pending() == 0


def test_a_worker_survives_a_database_failure(make, monkeypatch):
    host = make(email={"transport": "console"})
    calls = []

    def deliver(self):
        calls.append(None)
        if len(calls) == 1:
            raise OperationalError("SELECT", {}, Exception("the server restarts"))
        raise KeyboardInterrupt

    class NoWait:
        def wait(self, seconds):
            pass

    monkeypatch.setattr(Outbox, "deliver", deliver)
    monkeypatch.setattr(delivery, "TIMER", NoWait())
    done = CliRunner().invoke(commands.email, ["worker"], obj=CommandContext(host))
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "delivering by console every 1 s, until Ctrl-C\n"
    assert len(calls) == 2


@pytest.mark.parametrize("as_json", [False, True])
def test_a_worker_prints_what_it_delivers(make, fake, monkeypatch, as_json):
    class OneRound:
        def wait(self, seconds):
            raise KeyboardInterrupt

    monkeypatch.setattr(delivery, "TIMER", OneRound())
    host = make(email={"transport": "fake"})
    queue(host, ANN)
    queue(host, BOB)
    fake.script[BOB] = [ConnectionError("mail.example.org:25: later")]
    said = invoke(host, "worker", *["--json"] * as_json).stdout
    if as_json:
        time = "2026-01-01T00:00:00+00:00"
        assert json.loads(said) == {"time": time, "sent": 1, "failed": 1, "deferred": 0, "dropped": 0}
    else:
        assert said == "2026-01-01T00:00:00Z: 1 sent, 1 failed\n"
    assert invoke(host, "worker").stdout == ""  # nothing is due


def test_ctrl_c_ends_the_preview(make, monkeypatch):
    host = make()

    def serve(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", serve)
    done = CliRunner().invoke(commands.email, ["preview", "--serve", "--port", "0"], obj=CommandContext(host))
    assert (done.exit_code, done.stderr) == (0, "")


def test_markup_in_a_reason_is_printed_unchanged(make):
    host = make()
    runner = CliRunner()
    runner.invoke(
        commands.email,
        ["suppress", ANN, "--reason", "see [/var/log/mail] and [bold]"],
        obj=CommandContext(host),
    )
    done = runner.invoke(commands.email, ["suppressed"], obj=CommandContext(host))
    assert done.exit_code == 0
    assert "[bold]" in done.output.replace("\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["outbox", "-n", "-1"],
        ["preview", "--serve", "--port", "99999"],
        ["send-test", "a\nb"],
        ["suppress", "ann"],
    ],
)
def test_wrong_input(make, arguments):
    host = make(email={"transport": "file"})
    done = CliRunner().invoke(commands.email, arguments, obj=CommandContext(host))
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code != 0


def test_a_port_that_is_in_use(make):
    host = make()
    with preview_server(EmailSettings(), 0) as taken:
        arguments = ["preview", "--serve", "--port", str(taken.server_port)]
        done = CliRunner().invoke(commands.email, arguments, obj=CommandContext(host))
    assert "cannot listen on port" in done.output
    assert done.exit_code == 1


@pytest.mark.parametrize("arguments", [["send-test", ANN], ["deliver"]])
def test_commands_with_an_unknown_transport(make, arguments):
    host = make(email={"transport": "pigeon"})
    done = CliRunner().invoke(commands.email, arguments, obj=CommandContext(host))
    assert isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: there is no transport 'pigeon'; use one of smtp,")


def test_the_preview_server_shows_all_messages():
    with preview_server(EmailSettings(), 0) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        address = f"http://127.0.0.1:{running.server_port}"
        index = urlopen(f"{address}/").read().decode()
        assert index.count("/message?") == len(KINDS)
        assert index.count("/?language=") == len(LANGUAGES)
        assert "name=viewport" in index
        assert "rel=icon" in index
        shown = urlopen(f"{address}/html?kind=welcome&language=ar").read().decode()
        assert 'dir="rtl"' in shown
        text = urlopen(f"{address}/text?kind=welcome&language=de").read().decode()
        assert text.splitlines()[0] != "Welcome to Example"
        with pytest.raises(OSError, match="404"):
            urlopen(f"{address}/html?kind=nothing")
        running.shutdown()
        thread.join()


def invoke(host, *arguments, code=0, **options):
    done = CliRunner(**options).invoke(commands.email, list(arguments), obj=CommandContext(host))
    assert done.exit_code == code, done.output + repr(done.exception)
    return done


def test_deliver_prints_the_results(make, fake):
    host = make(email={"transport": "fake", "max_per_hour": 1})
    fake.script[BOB] = [ConnectionError("mail.example.org:25: later")]
    queue(host, ANN, "password_reset_unknown_account")
    assert invoke(host, "deliver").output == "1 sent, 0 failed, 0 deferred\n"
    queue(host, ANN, "password_reset_unknown_account")
    queue(host, BOB, "password_changed")
    queue(host, "eve@example.org", "password_changed", count=3)
    done = invoke(host, "deliver", code=1)
    expected = [
        "1 sent, 1 failed, 1 deferred",
        "2 dropped: their address is suppressed or their link has expired",
        "2 wait for a later attempt",
    ]
    assert done.stdout.splitlines() == expected
    assert "authhost email outbox" in done.stderr


def test_deliver_prints_json(make, fake):
    host = make(email={"transport": "fake"})
    queue(host, ANN)
    counts = {"sent": 1, "failed": 0, "deferred": 0, "dropped": 0, "waiting": 0, "with_another_worker": 0}
    assert json.loads(invoke(host, "deliver", "--json").output) == counts
    queue(host, BOB)
    fake.script[BOB] = [ConnectionError("later")]
    found = json.loads(invoke(host, "deliver", "--json", code=1).output)
    assert (found["sent"], found["failed"], found["waiting"]) == (0, 1, 1)


def test_deliver_prints_messages_claimed_by_another_worker(make, fake):
    host = make(email={"transport": "fake"})
    queue(host, ANN)
    assert len(Leases(host, 300.0).claim()) == 1  # by a process that has died
    done = invoke(host, "deliver")
    assert "0 sent" in done.output
    assert "1 are claimed by another worker; if it died, its claim ends after 300 s" in done.output


def test_deliver_delivers_more_than_one_batch(make, fake):
    host = make(email={"transport": "fake"})
    for number in range(120):
        queue(host, f"u{number}@example.org")
    assert invoke(host, "deliver").output == "120 sent, 0 failed, 0 deferred\n"


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_identifiers_in_the_outbox_are_not_cut(make, monkeypatch, columns):
    host = make()
    queue(host, f"{'a' * 60}@example.org", "password_reset_unknown_account", count=2)
    monkeypatch.setenv("COLUMNS", str(columns))
    said = invoke(host, "outbox").output
    for identifier, recipient in rows(host, "id", "recipient"):
        assert str(identifier) in said
        assert recipient in said
    assert "created_at" not in said


def test_output_to_a_pipe_is_not_wrapped(make, monkeypatch):
    host = make()
    queue(host, f"{'a' * 60}@example.org", "password_reset_unknown_account")
    monkeypatch.delenv("COLUMNS", raising=False)
    [line] = [each for each in invoke(host, "outbox").output.splitlines() if "@" in each]
    [(identifier, recipient)] = rows(host, "id", "recipient")
    assert str(identifier) in line
    assert recipient in line


def test_json_has_all_columns_and_times_with_time_zone(make):
    host = make()
    queue(host, ANN)
    [line] = invoke(host, "outbox", "--json").output.splitlines()
    found = json.loads(line)
    assert found["created_at"] == "2026-01-01T00:00:00+00:00"
    assert set(found) == {
        *("id", "created_at", "kind", "recipient", "language", "status", "attempts", "last_error")
    }


def test_an_empty_outbox_prints_a_sentence(make):
    host = make()
    assert invoke(host, "outbox").output == "the outbox is empty\n"
    assert invoke(host, "outbox", "--status", "dead").output == "there are no messages with the status dead\n"
    assert invoke(host, "suppressed").output == "no address is suppressed\n"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"transport": "smtp", "smtp_host": "no such host"},
            "no such host:25: the host name cannot be resolved",
        ),
        ({"transport": "smtp", "smtp_host": "127.0.0.1", "smtp_port": 9}, "127.0.0.1:9: no connection"),
        ({"transport": "file", "directory": "/dev/null/mail"}, "cannot write to the folder /dev/null/mail"),
        (
            {"transport": "sendmail", "sendmail": "/nowhere/sendmail"},
            "cannot run /nowhere/sendmail: No such file",
        ),
    ],
)
def test_send_test_names_the_part_that_failed(make, settings, said):
    host = make(email=settings)
    done = invoke(host, "send-test", ANN, code=1)
    [line] = done.stderr.splitlines()
    assert said in line
    queue(host, ANN)
    outbox(host).deliver_pending()
    assert said in rows(host, "last_error")[0][0]


@pytest.mark.parametrize(
    "given", ["foo", "foo@", "@bar", "Ann <ann@example.org>", "a\nb@example.org", "a@b\n"]
)
def test_send_test_accepts_only_a_bare_address(make, given):
    done = invoke(make(), "send-test", given, code=2)
    assert "is not an e-mail address" in done.stderr


def test_the_preview_uses_the_name_and_urls_of_the_site(make):
    host = make(
        site_name="Doorbell & Co", base_url="https://bell.example", urls={"reset_password": "/new/{key}"}
    )
    for kind, path in (
        ("password_reset", "/new/"),
        ("email_confirmation", "/account/confirm-email/"),
        ("signup_existing_account", "/account/login"),
    ):
        said = invoke(host, "preview", kind).output
        assert "Doorbell & Co" in said
        assert f"https://bell.example{path}" in said
    status, _, body = preview_page(
        EmailSettings(), "/html?kind=password_reset&language=en", samples_for_host(host)
    )
    assert (status, "https://bell.example/new/" in body) == (200, True)


@pytest.mark.parametrize("broken", ["missing", "unreachable"])
def test_the_preview_needs_neither_a_database_nor_a_secret_key(tmp_path, broken):
    if broken == "unreachable":
        pytest.importorskip("psycopg", reason="SKIPPED: run `pip install 'psycopg[binary]'`")
    file, database = tmp_path / "site.toml", tmp_path / "no.sqlite3"
    url = f"sqlite:///{database}" if broken == "missing" else "postgresql+psycopg://x@127.0.0.1:9/x"
    file.write_text(
        f'site_name = "Doorbell"\nbase_url = "https://bell.example"\ndatabase_url = "{url}"\n'
        '[plugins.email]\nfrom_address = "door@bell.example"\nfrom_name = "Bell"\n'
    )
    done = run_command("--config", str(file), "email", "preview", "password_reset", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["from"] == "Bell <door@bell.example>"
    assert "https://bell.example/account/reset-password/" in found["text"]
    assert "Doorbell" in found["text"]
    assert not database.exists()


def test_the_preview_prints_all_messages_as_json(make):
    lines = invoke(make(), "preview", "--json", "--language", "de").output.splitlines()
    assert [json.loads(line)["kind"] for line in lines] == list(KINDS)


def test_a_misspelt_message_gets_a_suggestion(make):
    said = invoke(make(), "preview", "pasword_reset", code=2).output
    assert "there is no message 'pasword_reset'; did you mean 'password_reset'?" in said
    assert "Usage: email preview [OPTIONS] [MESSAGE]" in said
    assert "there is no message 'x'. The messages are" in invoke(
        make(), "send-test", ANN, "--kind", "x", code=2
    ).output.replace("\n", "")


def test_the_preview_shows_sender_and_subject():
    settings = EmailSettings(from_address="door@bell.example", from_name='Bell & "Co"')
    for path in ("/", "/message?kind=welcome"):
        status, kind, body = preview_page(settings, f"{path}{'&' if '?' in path else '?'}language=de")
        assert (status, kind) == (200, "text/html")
        assert "&lt;door@bell.example&gt;" in body
        assert "Bell &amp; " in body
        assert "Willkommen bei Example" in body
    assert preview_page(settings, "/?language=xx")[0] == 404
    assert preview_page(settings, "/favicon.ico?kind=welcome")[0] == 404


def test_the_preview_shows_which_template_is_wrong(make, tmp_path):
    (tmp_path / "messages").mkdir()
    (tmp_path / "messages" / "welcome.j2").write_text("{% set subject = %}")
    settings = EmailSettings(templates=str(tmp_path))
    assert "/messages/welcome.j2, line 1" in preview_page(settings, "/")[2]
    status, kind, body = preview_page(settings, "/html?kind=welcome")
    assert (status, kind) == (500, "text/plain")
    assert "/messages/welcome.j2, line 1" in body
    said = invoke(make(email={"templates": str(tmp_path)}), "preview", "welcome", code=1)
    assert "/messages/welcome.j2, line 1" in said.stderr


def test_a_message_is_found_by_its_first_digits(make, clock):
    host = make()
    queue(host, ANN)
    clock.forward(hours=100)
    queue(host, BOB, count=7)
    first, *others = (identifier for (identifier,) in rows(host, "id"))
    assert invoke(host, "cancel", str(first)[:9]).output == f"the message {first} will not be sent\n"
    said = invoke(host, "retry", others[0].hex[:10], code=1).stderr
    assert "is ambiguous" in said
    assert str(others[4]) in said
    assert str(others[5]) not in said
    assert "no message whose identifier begins with 0000" in invoke(host, "retry", "0000", code=1).stderr
    for given in ("01a", "xyz12", f"{first}0"):
        assert "is neither the identifier" in invoke(host, "cancel", given, code=2).stderr


def test_each_command_prints_json(make, fake):
    host = make(email={"transport": "fake"})
    queue(host, ANN)
    [(identifier,)] = rows(host, "id")

    def results(*arguments, code=0):
        return json.loads(invoke(host, *arguments, "--json", code=code).stdout)

    assert results("retry", str(identifier)) == {"id": str(identifier), "status": "pending"}
    assert results("cancel", str(identifier)) == {"id": str(identifier), "status": "cancelled"}
    assert results("clean") == {"deleted": 0}
    for command, changed in (("suppress", True), ("suppress", False), ("allow", True), ("allow", False)):
        expected = {"address": ANN, "suppressed": command == "suppress", "changed": changed}
        assert results(command, ANN) == expected
    tested = results("send-test", ANN)
    assert tested.pop("id")
    assert tested == {"transport": "fake", "recipient": ANN, "accepted": True, "error": None}
    fake.script[ANN] = [ConnectionError("mail.example.org:25: refused, 451: later")]
    tested = results("send-test", ANN, code=1)
    assert (tested["accepted"], tested["error"]) == (False, "fake: mail.example.org:25: refused, 451: later")


def test_each_command_has_json_and_long_names_of_options():
    for name, command in commands.email.commands.items():
        options = [each.opts for each in command.params if each.param_type_name == "option"]
        assert ["--json"] in options, name
        assert all(any(each.startswith("--") for each in names) for names in options), name
