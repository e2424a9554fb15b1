"""Forwarding to syslog and to the webhook."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import socket
import socketserver
import threading
from contextlib import contextmanager

import pytest
from authhost_audit import forwarding
from authhost_audit.checkpoints import seal_and_push
from authhost_audit.commands import audit
from authhost_audit.settings import AuditSettings
from authhost_audit.tables import cursor_table, leaf_table
from click.testing import CliRunner
from providers import as_json, served
from sqlalchemy import select, update

from audit.trail import SIGNING, records, run_login, seal_all, settings_of, tamper, violations
from authhost.testing import CommandContext


@contextmanager
def syslog_server(refuse):
    """A syslog server over TCP (RFC 6587). It resets one connection for each item of ``refuse``."""
    taken = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            if refuse:
                refuse.pop()
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                return
            while head := self.rfile.read(1):
                while not head.endswith(b" "):
                    head += self.rfile.read(1)
                taken.append(self.rfile.read(int(head)).decode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"tcp://127.0.0.1:{server.server_address[1]}", taken
        server.shutdown()
        thread.join()


def of_sink(host, sink):
    return [each["id"] for each in records(host)], lambda: sum(
        forwarding.forward(host, settings_of(host), sink)
    )


def test_syslog_gets_every_record_in_order(trail):
    seal_all(trail)
    with syslog_server([]) as (url, taken):
        [sink] = forwarding.sinks(AuditSettings(syslog=url))
        expected, go = of_sink(trail, sink)
        assert (go(), go()) == (len(expected), 0)
        run_login(trail)
        assert go() == 0  # not sealed yet
        seal_all(trail)
        assert go() == 2
    heads, bodies = zip(*(each.split(" - ", 2)[::2] for each in taken), strict=True)
    assert re.fullmatch(r"<109>1 \S+T\S+\+00:00 \S+ authhost", heads[0])
    got = [json.loads(each.split(" - ", 1)[1] if " - " in each else each) for each in bodies]
    assert [each["id"] for each in got] == [each["id"] for each in by_seal(trail)]


def test_forward_prints_json(make):
    with syslog_server([]) as (url, taken):
        host = make(audit={"syslog": url})
        result = CliRunner().invoke(audit, ["forward", "--json"], obj=CommandContext(host))
    assert result.exit_code == 0, result.output
    [line] = result.stdout.splitlines()
    row = json.loads(line)
    assert row["receiver"].startswith("syslog")
    assert row["sent"] == len([each for each in taken if " - checkpoint - " not in each]) == 2


def by_seal(host):
    order = select(leaf_table.c.event_id).order_by(leaf_table.c.batch, leaf_table.c.position)
    with host.engine.connect() as connection:
        ids = [str(each) for each in connection.execute(order).scalars()]
    found = {each["id"]: each for each in records(host)}
    return [found[each] for each in ids]


def test_a_refused_chunk_is_sent_again(trail, monkeypatch):
    monkeypatch.setattr(forwarding, "CHUNK", 3)
    seal_all(trail)
    answers, bodies = [500, 200, 503], []

    def answer(handler, body):
        status = answers.pop() if answers else 200
        if status == 200:
            stamp, signature = re.fullmatch(
                r"t=(\d+),v1=(\w+)", handler.headers["X-Authhost-Signature"]
            ).groups()
            expected = hmac.new(b"w" * 32, f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
            assert signature == expected
            bodies.extend(json.loads(body)["records"])
        return as_json({}, status)

    with served(answer) as url:
        [sink] = forwarding.sinks(AuditSettings(webhook=url, webhook_secret="w" * 32))
        for _ in range(2):
            with pytest.raises(forwarding.ReceiverError):
                list(forwarding.forward(trail, settings_of(trail), sink))
        waiting = forwarding.lag(trail, sink)
        assert waiting == len(records(trail)) - 3
        list(forwarding.forward(trail, settings_of(trail), sink))
    assert [each["id"] for each in bodies] == [each["id"] for each in by_seal(trail)]


def test_a_lost_answer_repeats_records_and_loses_none(trail, monkeypatch):
    seal_all(trail)
    got = []

    class Sink:
        name = "test"

        def send(self, lines):
            got.extend(each["id"] for each in lines)

    with monkeypatch.context() as patch:
        patch.setattr(forwarding, "move_cursor", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            list(forwarding.forward(trail, settings_of(trail), Sink()))
    list(forwarding.forward(trail, settings_of(trail), Sink()))
    assert set(got) == {each["id"] for each in records(trail)}
    with trail.engine.connect() as connection:
        assert set(connection.execute(select(cursor_table.c.name)).scalars()) == {"recording", "test"}


def test_two_forwarders_do_not_interleave(trail, monkeypatch):
    monkeypatch.setattr(forwarding, "CHUNK", 3)
    seal_all(trail)
    got, settings = [], settings_of(trail)

    class Second:
        name = "test"

        def send(self, lines):
            got.extend(each["id"] for each in lines)

    class First(Second):
        def send(self, lines):
            with pytest.raises(forwarding.ReceiverError, match="another process"):
                list(forwarding.forward(trail, settings, Second()))
            super().send(lines)

    list(forwarding.forward(trail, settings, First()))
    assert got == [each["id"] for each in by_seal(trail)]
    assert list(forwarding.forward(trail, settings, Second())) == []


def test_a_receiver_that_answers_too_slowly_times_out(trail):
    seal_all(trail)
    over = threading.Event()

    def drip(handler, body):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not over.wait(0.01):
            handler.wfile.write(b"X: y\r\n")
            handler.wfile.flush()

    with served(drip) as url:
        settings = AuditSettings(webhook=url, webhook_secret="w" * 32, timeout=0.3)
        with pytest.raises(forwarding.ReceiverError):
            list(forwarding.forward(trail, settings, forwarding.sinks(settings)[0]))
        over.set()


def test_udp(trail):
    seal_all(trail)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        [sink] = forwarding.sinks(AuditSettings(syslog=f"udp://127.0.0.1:{receiver.getsockname()[1]}"))
        sink.send([records(trail)[0]])
        assert b"audit_recording_on" in receiver.recv(65536)


def test_an_unreachable_receiver(trail):
    seal_all(trail)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    settings = AuditSettings(signing_key=SIGNING, syslog=url, checkpoint_file="/nowhere/at/all")
    with pytest.raises(forwarding.ReceiverError):
        list(forwarding.forward(trail, settings, forwarding.sinks(settings)[0]))
    run_login(trail)
    assert [missed for _, missed in seal_and_push(trail, settings)] == [["checkpoint_file", "syslog"]]


def test_a_missed_checkpoint_is_sent_again(trail, tmp_path):
    away, file = tmp_path / "away", tmp_path / "away" / "checkpoints"
    settings = AuditSettings(signing_key=SIGNING, checkpoint_file=str(file))
    run_login(trail)
    assert [missed for _, missed in seal_and_push(trail, settings)] == [["checkpoint_file"]]
    away.mkdir()
    assert list(seal_and_push(trail, settings)) == []
    run_login(trail)
    assert [missed for _, missed in seal_and_push(trail, settings)] == [[]]
    numbers = [json.loads(line)["number"] for line in file.read_text().splitlines()]
    assert numbers == [1, 2, 3, 4]
    assert violations(trail, file) == []


def test_a_cursor_that_was_moved_ahead_holds_back_no_checkpoint(trail, tmp_path):
    file = tmp_path / "checkpoints"
    settings = AuditSettings(signing_key=SIGNING, checkpoint_file=str(file))
    list(seal_and_push(trail, settings))
    run_login(trail)
    tamper(trail, update(cursor_table).values(batch=1000))
    list(seal_and_push(trail, settings))
    assert [json.loads(line)["number"] for line in file.read_text().splitlines()][-1] == 4


def test_delays_grow_to_five_minutes():
    delays = forwarding.backoff_delays()
    assert [next(delays) for _ in range(11)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
