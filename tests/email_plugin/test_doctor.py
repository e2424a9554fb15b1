"""``authhost email doctor`` with real mail servers and a real name server."""

from __future__ import annotations

import builtins
import json
import socket
import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import dns.flags
import dns.message
import dns.rdatatype
import dns.resolver
import dns.rrset
import pytest
from aiosmtpd.smtp import AuthResult
from authhost_email import commands
from authhost_email.doctor import examine
from authhost_email.doctor.configuration import examine_settings
from authhost_email.doctor.domain import create_resolver, examine_domain
from authhost_email.doctor.mail_server import CHECKS, examine_server
from authhost_email.doctor.queue import examine_outbox
from authhost_email.leases import Leases
from authhost_email.monitoring import OutboxFacts, outbox_facts
from authhost_email.settings import EmailSettings
from authhost_hookspecs import Actor
from click.testing import CliRunner
from command_server import run_command
from sqlalchemy import event

from authhost.testing import CommandContext
from email_plugin.helpers import ANN, BOB, Mailbox, outbox, queue, rows, smtp_settings

PASSWORD = "geheim-sehr"
OK = {"name": "ok", "connection": "ok", "tls": "ok", "login": "ok", "sender": "ok"}


def levels(results):
    return {each.check: each.level for each in results}


def one_problem(results):
    """Return the only error. All checks before it are without one, and all checks after it are skipped."""
    found = list(results)
    assert [each.check for each in found] == list(CHECKS)
    [problem] = (each for each in found if each.level == "error")
    assert problem.remedy
    assert {each.level for each in found[found.index(problem) + 1 :]} <= {"skipped"}
    assert PASSWORD not in str(found)
    return problem


def authenticate(server, session, envelope, mechanism, data):
    return AuthResult(success=data.password == PASSWORD.encode(), handled=False)


@pytest.fixture
def secured(certificate):
    """Return mail servers with TLS and a login."""

    def make(tls):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        options = {"ssl_context": context} if tls == "tls" else {"tls_context": context}
        return Mailbox(
            authenticator=authenticate, auth_required=True, auth_require_tls=tls == "starttls", **options
        ).running()

    return make


def login_settings(mailbox, tls, password=PASSWORD):
    return smtp_settings(mailbox, smtp_tls=tls, smtp_username="ann", smtp_password=password)


# The mail server.


def test_a_server_without_tls_and_login():
    with Mailbox().running() as mailbox:
        found = levels(examine_server(smtp_settings(mailbox)))
        assert found == {**OK, "tls": "skipped", "login": "skipped"}
        assert mailbox.taken == []


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_server_with_tls_and_login(secured, certificate, monkeypatch, tls):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with secured(tls) as mailbox:
        settings = login_settings(mailbox, tls)
        long_before = datetime.now(UTC) - timedelta(days=30)
        found = {each.check: each for each in examine_server(settings, long_before)}
        assert {check: each.level for check, each in found.items()} == OK
        assert "TLSv1." in found["tls"].found
        assert "certificate for 127.0.0.1, valid until 20" in found["tls"].found
        assert levels(examine_server(settings)) == {**OK, "tls": "warning"}  # ends tomorrow
        assert "login of ann" in found["login"].found


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_certificate_that_is_not_trusted(secured, tls):
    with secured(tls) as mailbox:
        problem = one_problem(examine_server(login_settings(mailbox, tls)))
    assert problem.check == "tls"
    assert "certificate not accepted: self-signed certificate" in problem.found
    assert "renew the certificate" in problem.remedy


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_wrong_password(secured, certificate, monkeypatch, tls):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with secured(tls) as mailbox:
        problem = one_problem(examine_server(login_settings(mailbox, tls, "wrong")))
    assert problem.check == "login"
    assert f"127.0.0.1:{mailbox.port}: not authenticated, 535: 5.7.8" in problem.found
    assert "AUTHHOST_PLUGINS__EMAIL__SMTP_PASSWORD" in problem.remedy


@pytest.mark.parametrize(
    ("tls", "said"),
    [("starttls", "STARTTLS extension not supported"), ("tls", "TLS failed with smtp_tls 'tls'")],
)
def test_a_server_without_tls_that_should_have_it(tls, said):
    with Mailbox().running() as mailbox:
        problem = one_problem(examine_server(smtp_settings(mailbox, smtp_tls=tls)))
    assert problem.check == "tls"
    assert said in problem.found
    assert "587" in problem.remedy


def test_a_server_without_a_login_that_should_have_it():
    with Mailbox().running() as mailbox:
        problem = one_problem(examine_server(login_settings(mailbox, "none")))
    assert problem.check == "login"


class Picky(Mailbox):
    """Refuses each sender."""

    async def handle_MAIL(self, server, session, envelope, address, options):
        return f"550 5.7.1 {address} may not send here"


def test_a_refused_sender():
    with Picky().running() as mailbox:
        problem = one_problem(examine_server(smtp_settings(mailbox, from_address="door@bell.example")))
    assert problem.check == "sender"
    assert "sender refused, 550: 5.7.1 door@bell.example may not send here" in problem.found
    assert "from_address" in problem.remedy


def test_a_server_that_requires_a_login():
    with Mailbox(authenticator=authenticate, auth_required=True, auth_require_tls=False).running() as mailbox:
        problem = one_problem(examine_server(smtp_settings(mailbox)))
    assert problem.check == "sender"
    assert "sender refused, 530" in problem.found
    assert "smtp_username" in problem.remedy


@pytest.mark.parametrize(
    ("host", "check", "said"),
    [
        ("127.0.0.1", "connection", "127.0.0.1:9: no connection: Connection refused"),
        ("no such host", "name", "the host name cannot be resolved"),
        ("a" * 70 + ".example", "name", ".example:9: the host name is not valid"),
    ],
)
def test_a_server_that_cannot_be_reached(host, check, said):
    problem = one_problem(examine_server(EmailSettings(transport="smtp", smtp_host=host, smtp_port=9)))
    assert problem.check == check
    assert said in problem.found


# The domain of the sender.


@contextmanager
def name_server(records):
    """Run a name server. Names that are not in ``records`` do not exist; slow.example gets no answer."""
    zone = {
        (dns.name.from_text(name), dns.rdatatype.from_text(kind)): texts
        for (name, kind), texts in records.items()
    }
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", 0))

    def serve():
        while True:
            data, sender = listener.recvfrom(4096)
            if not data:
                return
            query = dns.message.from_wire(data)
            [question] = query.question
            answer = dns.message.make_response(query, recursion_available=True)
            texts = zone.get((question.name, question.rdtype))
            if question.name == dns.name.from_text("slow.example"):
                continue
            if texts:
                found = dns.rrset.from_text_list(question.name, 60, "IN", question.rdtype, texts)
                answer.answer.append(found)
            elif not any(name == question.name for name, _ in zone):
                answer.set_rcode(dns.rcode.NXDOMAIN)
            listener.sendto(answer.to_wire(), sender)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], listener.getsockname()[1]
    resolver.lifetime = 2.0
    try:
        yield lambda: resolver
    finally:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", listener.getsockname())
        thread.join(timeout=30)
        listener.close()


GOOD_ZONE = {
    ("bell.example", "MX"): ["20 two.bell.example.", "10 one.bell.example."],
    ("bell.example", "TXT"): ['"site-verification=1"', '"v=spf1 mx" " -all"'],
    ("_dmarc.bell.example", "TXT"): ['"v=DMARC1; p=reject"'],
    ("news.bell.example", "A"): ["192.0.2.1"],
}


def test_a_domain_with_all_records():
    with name_server(GOOD_ZONE) as create:
        found = list(examine_domain("bell.example", create))
    assert [(each.level, each.check, each.found) for each in found] == [
        ("ok", "mx", "bell.example receives mail at one.bell.example, two.bell.example"),
        ("ok", "spf", "v=spf1 mx -all"),
        ("ok", "dmarc", "_dmarc.bell.example: v=DMARC1; p=reject"),
    ]


def test_a_subdomain_has_the_dmarc_record_of_its_parent():
    with name_server(GOOD_ZONE) as create:
        mx, spf, dmarc = examine_domain("news.bell.example", create)
    assert (mx.level, spf.level, dmarc.level) == ("ok", "warning", "ok")
    assert "its A record replaces it" in mx.found
    assert dmarc.found.startswith("_dmarc.bell.example: ")


@pytest.mark.parametrize(
    ("records", "check", "level", "said"),
    [
        ({("bell.example", "MX"): ["0 ."]}, "mx", "warning", "null MX"),
        ({("bell.example", "MX"): []}, "mx", "warning", "receives no mail"),
        ({("bell.example", "TXT"): ['"v=spf1 a -all"', '"v=spf1 mx -all"']}, "spf", "error", "2 SPF records"),
        ({("bell.example", "TXT"): ['"v=spf1 +all"']}, "spf", "warning", "everybody may send"),
        ({("bell.example", "TXT"): ['"v=spf10 mx"']}, "spf", "warning", "has no SPF record"),
        ({("_dmarc.bell.example", "TXT"): ['"v=none"']}, "dmarc", "warning", "has no DMARC record"),
    ],
)
def test_a_domain_with_a_wrong_record(records, check, level, said):
    with name_server({**GOOD_ZONE, **records}) as create:
        [found] = [each for each in examine_domain("bell.example", create) if each.check == check]
    assert found.level == level
    assert said in found.found
    assert found.remedy


def test_a_domain_that_does_not_exist():
    with name_server({}) as create:
        [found] = examine_domain("bell.example", create)
    assert (found.level, found.found) == ("error", "the domain bell.example does not exist")


def test_a_name_server_that_does_not_answer():
    with name_server({}) as create:
        [found] = examine_domain("slow.example", create)
    assert (found.level, found.check) == ("warning", "domain")
    assert "cannot be read" in found.found


@pytest.mark.parametrize(
    "domain", ["localhost", "mailhost", "localhost.localdomain", "[192.0.2.1]", "[IPv6:::1]"]
)
def test_a_local_domain_is_skipped(domain):
    [found] = examine_domain(domain, lambda: create_resolver(1.0))
    assert (found.level, found.check) == ("skipped", "domain")


def test_without_dnspython_the_records_are_skipped_visibly(monkeypatch):
    original = builtins.__import__

    def not_installed(name, *arguments, **more):
        if name.partition(".")[0] == "dns":
            raise ModuleNotFoundError(name)
        return original(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", not_installed)
    [found] = examine_domain("bell.example", lambda: create_resolver(1.0))
    assert found.level == "skipped"
    assert "dnspython is not installed" in found.found
    assert found.remedy == "pip install 'authhost-email[dns]'"


# Settings and outbox.


def test_settings(make):
    good = {"transport": "smtp", "smtp_host": "127.0.0.1", "from_address": "door@bell.example"}
    host = make(email={**good, "from_name": "Bell"}, base_url="https://bell.example")
    [found] = examine_settings(host, host.plugin_settings("email"))
    assert (found.level, found.found) == ("ok", "smtp to 127.0.0.1:25, from Bell <door@bell.example>")
    host = make(email={"transport": "file"}, base_url="http://localhost:8000")
    found = list(examine_settings(host, host.plugin_settings("email")))
    assert [each.level for each in found] == ["warning"] * 3
    assert "noreply@localhost" in found[1].found
    assert "links in messages lead to http://localhost:8000" in found[2].found


def test_facts_about_the_outbox(make, fake, clock):
    host = make(email={"transport": "fake", "max_attempts": 2})
    assert outbox_facts(host) == OutboxFacts(0, 0.0, 0, 0, 0)
    queue(host, ANN)
    clock.forward(seconds=30)
    queue(host, BOB)
    clock.forward(seconds=12)
    assert outbox_facts(host) == OutboxFacts(2, 42.0, 0, 0, 0)
    fake.script = {ANN: [ConnectionError("busy")] * 2}
    outbox(host).deliver_pending()
    assert outbox_facts(host) == OutboxFacts(0, 0.0, 0, 1, 0)
    clock.forward(hours=1)
    outbox(host).deliver_pending()
    assert outbox_facts(host) == OutboxFacts(0, 0.0, 0, 0, 1)
    queue(host, ANN)
    Leases(host, 300.0).claim()
    assert outbox_facts(host) == OutboxFacts(0, 0.0, 1, 0, 1)
    clock.forward(seconds=301)  # the worker has died
    assert outbox_facts(host) == OutboxFacts(1, 1.0, 0, 0, 1)


def test_facts_need_two_queries(make):
    host = make()
    statements = []
    event.listen(
        host.engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]), named=False
    )
    outbox_facts(host)
    assert sum("authhost_email_outbox" in each for each in statements) == 2


def state(host):
    return {each.check: each for each in examine_outbox(host, host.plugin_settings("email"))}


def test_an_outbox_without_problems(make, fake):
    host = make(email={"transport": "fake"})
    found = state(host)
    assert {check: each.level for check, each in found.items()} == {
        **{"outbox": "ok", "failed": "ok", "dead": "ok"},
        "worker": "skipped",
    }
    assert "authhost email worker" in found["worker"].remedy  # delivery is manual
    queue(host, ANN)
    outbox(host).deliver_pending()
    worker = state(host)["worker"]
    assert (worker.level, worker.found[-20:]) == ("ok", "2026-01-01T00:00:00Z")
    queue(host, ANN)
    Leases(host, 300.0).claim()
    assert state(host)["worker"].found == "a worker runs; messages that it delivers now: 1"


def test_an_outbox_with_problems(make, fake, clock):
    host = make(email={"transport": "fake", "max_attempts": 2})
    for address, error in ((ANN, "mail:25: refused, 451: busy"), (BOB, "mail:25: refused, 554: spam")):
        queue(host, address)
        fake.script[address] = [ConnectionError(error)] * 2
    outbox(host).deliver_pending()
    found = state(host)
    assert found["failed"].level == "warning"
    assert found["failed"].found.endswith(": 2; the newest: fake: mail:25: refused, 554: spam")
    clock.forward(hours=1)
    found = state(host)
    assert (found["outbox"].level, found["worker"].level) == ("error", "error")
    assert found["outbox"].found.startswith("messages due: 2, the oldest for 35")
    outbox(host).deliver_pending()
    found = state(host)
    assert (found["dead"].level, found["failed"].level, found["outbox"].level) == ("warning", "ok", "ok")
    assert "2; the newest: fake: mail:25: refused, 554: spam" in found["dead"].found
    assert "authhost email retry ID" in found["dead"].remedy


# The command.


def run(host, *arguments):
    return CliRunner().invoke(commands.email, ["doctor", *arguments], obj=CommandContext(host))


def host_for(make, mailbox):
    email = {"transport": "smtp", "smtp_host": "127.0.0.1", "smtp_port": mailbox.port}
    return make(email=email, base_url="https://bell.example")


def test_a_test_message_is_sent_only_on_request(make):
    with Mailbox(["refuse"]).running() as mailbox:
        host = host_for(make, mailbox)
        assert run(host).exit_code == 0
        assert mailbox.taken == []
        done = run(host, "--to", ANN)
        assert done.exit_code == 1
        assert f"error    message     smtp: 127.0.0.1:{mailbox.port}: refused, 554: spam\n" in done.stdout
        done = run(host, "--to", ANN)
        assert done.exit_code == 0
        assert "ok       message     accepted for ann@example.org by smtp to 127.0.0.1:" in done.stdout
        [message] = mailbox.taken
        assert str(message["Message-ID"]) in done.stdout
        assert rows(host, "id") == []


def test_no_message_is_sent_after_an_error(make):
    with Picky().running() as mailbox:
        done = run(host_for(make, mailbox), "--to", ANN)
    assert done.exit_code == 1
    assert "skipped  message     no test message is sent" in done.stdout
    assert done.stdout.endswith("errors: 1, warnings: 1\n")


def test_results_as_json(make):
    with Picky().running() as mailbox:
        done = run(host_for(make, mailbox), "--json")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 1
    assert {frozenset(each) for each in found} == {frozenset({"level", "check", "found", "remedy"})}
    [error] = [each for each in found if each["level"] == "error"]
    assert error["check"] == "sender"


def test_a_wrong_address_is_refused(make):
    done = run(make(), "--to", "Ann <ann@example.org>")
    assert done.exit_code == 2
    assert "is not an e-mail address" in done.stderr


def test_a_blocked_plugin_is_an_error(make):
    host = make(email={"transport": "file"})
    host.plugins.block("email", reason="it hangs", actor=Actor("operator", name="root"))
    found = next(examine(host, host.plugin_settings("email")))
    assert (found.level, found.check, found.remedy) == ("error", "plugin", "authhost plugins unblock email")
    assert "by root: it hangs" in found.found
    host.plugins.unblock("email", actor=Actor("operator", name="root"))
    assert "plugin" not in {each.check for each in examine(host, host.plugin_settings("email"))}


@pytest.mark.parametrize("transport", ["file", "console", "pigeon"])
def test_a_transport_without_a_server(make, transport):
    host = make(email={"transport": transport})
    [found] = [each for each in examine(host, host.plugin_settings("email")) if each.check == "server"]
    assert found.level == ("error" if transport == "pigeon" else "skipped")
    assert transport in found.found


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///{}/no.sqlite3", "there is no database file"),
        ("postgresql+psycopg://ann:geheim@127.0.0.1:9/x", "Connection refused"),
    ],
)
def test_the_doctor_goes_on_without_a_database(tmp_path, url, said):
    if url.startswith("postgresql"):
        pytest.importorskip("psycopg", reason="SKIPPED: run `pip install 'psycopg[binary]'`")
    with Mailbox().running() as mailbox:
        file = tmp_path / "site.toml"
        file.write_text(
            f'database_url = "{url.format(tmp_path)}"\n[plugins.email]\ntransport = "smtp"\n'
            f'smtp_host = "127.0.0.1"\nsmtp_port = {mailbox.port}\n'
        )
        done = run_command("--config", str(file), "email", "doctor", "--to", ANN)
        assert done.returncode == 1, done.stderr
        assert len(mailbox.taken) == 1
    assert done.stderr == ""
    assert said in done.stdout
    assert "geheim" not in done.stdout
    assert "ok       sender      " in done.stdout
    assert list(tmp_path.glob("*.sqlite3")) == []


def test_the_doctor_without_tables(tmp_path):
    (tmp_path / "empty.sqlite3").touch()
    file = tmp_path / "site.toml"
    file.write_text(f'database_url = "sqlite:///{tmp_path}/empty.sqlite3"\n')
    done = run_command("--config", str(file), "email", "doctor")
    assert done.returncode == 1
    assert "no such table: authhost_email_outbox" in done.stdout
    assert "authhost db upgrade" in done.stdout


def test_help_documents_exit_codes_and_examples():
    said = CliRunner().invoke(commands.email, ["doctor", "--help"]).output
    assert "Exits with 0" in said
    assert "authhost email doctor --to me@example.org" in said
