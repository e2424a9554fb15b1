"""Log records with request ids and as JSON, for commands and for applications."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import threading

import pytest
from authhost_hookspecs import hookimpl
from conftest import PASSWORD

from authhost.telemetry.current import current_unit, request_id
from authhost.telemetry.logs import JsonFormatter, RequestIdFilter

ANN = "ann@example.org"


@pytest.fixture
def lines():
    """The lines of JSON that the logger ``authhost`` and an application's have written so far."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    loggers = [logging.getLogger("authhost"), logging.getLogger("site")]
    for logger in loggers:
        logger.addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    for logger in loggers:
        logger.removeHandler(handler)


class Broken:
    @hookimpl
    def user_signed_up(self, request):
        self.request_id = str(request.id)
        raise KeyError("s3cret")

    @hookimpl
    def user_logged_in(self, request):
        request.in_background(self.job)

    def job(self):
        raise ValueError("s3cret")


def test_a_failure_of_a_plugin_has_its_place_and_its_request(make_host, run, lines):
    broken = Broken()
    host = make_host({"broken": broken})
    run(host, "signup", email=ANN, password=PASSWORD)
    (found,) = [each for each in lines() if each.get("hook") == "user_signed_up"]
    file, _, line = found["at"].rpartition(":")
    assert (file, line.isdigit()) == (__file__, True)
    assert found["request_id"] == broken.request_id
    assert (found["plugin"], found["error"], found["level"]) == ("broken", "KeyError", "ERROR")
    assert found["message"].startswith("plugin broken failed in user_signed_up: KeyError at ")
    assert found["logger"] == "authhost.plugins"
    assert found["time"].endswith("+00:00")
    assert "s3cret" not in json.dumps(lines())


def test_a_failed_job_has_its_place_and_its_request(make_host, run, lines):
    host = make_host({"broken": Broken()})
    run(host, "signup", email=ANN, password=PASSWORD)
    assert host.wait_for_background(30)
    (found,) = [each for each in lines() if each.get("hook") == "in_background"]
    assert (found["plugin"], found["error"]) == ("broken", "ValueError")
    assert found["at"].startswith(__file__)
    assert len(found["request_id"]) == 36


def test_the_application_logs_with_the_id_of_its_unit(make_host, lines):
    host = make_host()
    log = logging.getLogger("site")
    log.error("before")
    with host.request() as request:
        log.error("%d lines\nin one", 2)
        with host.request() as inner:
            log.error("inner")
        log.error("outer again", extra={"password": "s3cret"})
    log.error("after")
    assert [(each["message"], each.get("request_id")) for each in lines()] == [
        ("before", None),
        ("2 lines\nin one", str(request.id)),
        ("inner", str(inner.id)),
        ("outer again", str(request.id)),
        ("after", None),
    ]
    assert "s3cret" not in json.dumps(lines())


def test_a_traceback_of_the_application_is_one_line(lines):
    try:
        raise KeyError("door")
    except KeyError:
        logging.getLogger("site").exception("it failed")
    (found,) = lines()
    assert found["exception"].startswith("Traceback ")


def test_text_formats_have_the_id(make_host):
    record = logging.makeLogRecord({"msg": "rung"})
    assert RequestIdFilter().filter(record)
    assert record.request_id == "-"
    with make_host().request() as request:
        record = logging.makeLogRecord({"msg": "rung"})
        RequestIdFilter().filter(record)
        assert record.request_id == str(request.id)
        own = logging.makeLogRecord({"msg": "rung", "request_id": "mine"})
        RequestIdFilter().filter(own)
        assert own.request_id == "mine"


def test_the_id_ends_with_the_block_also_if_it_fails(make_host):
    with pytest.raises(ZeroDivisionError), make_host().request():
        assert request_id()
        _ = 1 / 0
    assert current_unit.get() is None


def test_a_block_may_be_left_in_another_thread(make_host):
    """As frameworks do that run the parts of a route in a pool of threads."""
    request = make_host().request()
    failures = []

    def do(function):
        def run():
            try:
                function()
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()

    do(request.__enter__)
    do(lambda: request.__exit__(None, None, None))
    assert failures == []
    assert current_unit.get() is None


LOGGING = """
import logging, sys
from authhost.cli.main import cli

@cli.command("ring")
def ring():
    logging.getLogger("authhost.email").warning("rung")

sys.argv = ["authhost", *sys.argv[1:]]
cli()
"""


@pytest.mark.parametrize(
    ("arguments", "env"), [(["--log-format", "json"], {}), ([], {"AUTHHOST_LOG_FORMAT": "json"})]
)
def test_commands_log_as_json(tmp_path, arguments, env):
    import os

    done = subprocess.run(
        [sys.executable, "-c", LOGGING, *arguments, "ring"],
        cwd=tmp_path,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    (line,) = done.stderr.splitlines()
    assert json.loads(line)["message"] == "rung"


def test_the_variable_is_no_unknown_setting(monkeypatch):
    from authhost.settings.model import unknown_variables

    monkeypatch.setenv("AUTHHOST_LOG_FORMAT", "json")
    assert "AUTHHOST_LOG_FORMAT" not in unknown_variables()
