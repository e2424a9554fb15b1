"""The metrics of the core in the text format of Prometheus, and what they cost."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from authhost_hookspecs import Metric, hookimpl
from click.testing import CliRunner
from conftest import PASSWORD
from sqlalchemy import event

from authhost.cli.main import cli
from authhost.errors import AuthError, InvalidCredentials
from authhost.operations.monitoring import metrics
from authhost.telemetry.telemetry import outcome_of

ANN = "ann@example.org"


@pytest.fixture
def read():
    """Return the samples of a host, by name and labels, as an independent parser reads them."""
    parser = pytest.importorskip("prometheus_client.parser")
    from authhost.operations.prometheus import exposition

    def read(host):
        families = list(parser.text_string_to_metric_families(exposition(host).decode()))
        return {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    return read


def of_flows(host):
    return {
        (each.labels["flow"], each.labels["outcome"]): each.value
        for each in metrics(host)
        if each.name == "authhost_flows_total"
    }


def refused(host, run, flow, error, **values):
    with pytest.raises(error):
        run(host, flow, **values)


def test_flows_are_counted_by_outcome(make_host, run):
    host = make_host()
    run(host, "signup", email=ANN, password=PASSWORD)
    run(host, "login", identifier=ANN, password=PASSWORD)
    for name in ("ann@example.org", "nobody@example.org"):
        refused(host, run, "login", InvalidCredentials, identifier=name, password="not the password")
    assert of_flows(host) == {
        ("signup", "ok"): 1,
        ("login", "ok"): 1,
        ("login", "invalid_credentials"): 2,
    }


def test_an_unexpected_error_is_an_outcome(make_host, run, monkeypatch):
    host = make_host()
    monkeypatch.setattr(host.services.passwords, "hash", lambda password: 1 / 0)
    refused(host, run, "signup", ZeroDivisionError, email=ANN, password=PASSWORD)
    assert of_flows(host) == {("signup", "error"): 1}


def test_an_outcome_is_the_code_of_a_class():
    error = InvalidCredentials()
    error.code = "ann@example.org"
    assert outcome_of(error) == "invalid_credentials"
    assert outcome_of(AuthError()) == "refused"
    assert outcome_of(KeyError("ann@example.org")) == "error"
    assert outcome_of(None) == "ok"


def test_prometheus_reads_counters_gauges_and_the_histogram(make_host, run, read):
    class Hooked:
        @hookimpl
        def user_signed_up(self, user):
            raise KeyError

        @hookimpl
        def register_metrics(self):
            labels = {"room": 'a "b"\n\\c'}
            return [lambda host: [Metric("authhost_hooked_rings", 3, "gauge", "Rings.", labels)]]

    host = make_host({"hooked": Hooked()})
    run(host, "signup", email=ANN, password=PASSWORD)
    refused(host, run, "login", InvalidCredentials, identifier=ANN, password="not the password")
    run(host, "login", identifier=ANN, password=PASSWORD)
    found = read(host)
    assert found["authhost_flows_total", ("flow", "login"), ("outcome", "ok")] == 1
    assert found["authhost_hook_failures_total", ("hook", "user_signed_up"), ("plugin", "hooked")] == 1
    assert found["authhost_hooked_rings", ("room", 'a "b"\n\\c')] == 3
    assert found["authhost_password_hashes_waiting",] == 0
    name = "authhost_flow_duration_seconds"
    assert found[f"{name}_count", ("flow", "login")] == 2
    assert found[f"{name}_bucket", ("flow", "login"), ("le", "+Inf")] == 2
    assert 0 < found[f"{name}_sum", ("flow", "login")] < 60
    buckets = [value for key, value in found.items() if key[:2] == (f"{name}_bucket", ("flow", "login"))]
    assert buckets == sorted(buckets)


def test_no_identifier_is_a_label(make_host, run, read):
    host = make_host()
    run(host, "signup", email=ANN, password=PASSWORD, username="annabel")
    refused(host, run, "login", InvalidCredentials, identifier="annabel", password="not the password")
    shown = repr(read(host))
    for secret in ("ann@", "annabel", "example.org"):
        assert secret not in shown


def test_open_connections_are_counted(make_host, run):
    host = make_host()

    def used():
        return [
            each.value
            for each in metrics(host)
            if each.name == "authhost_database_connections" and each.labels["state"] == "used"
        ]

    assert used() == [0]
    with host.reader.connect():
        assert used() == [1]


def test_metrics_of_the_core_send_no_statement(make_host, run, read):
    """How many a flow itself may send is in ``test_statements`` and ``test_round_trips``."""
    statements = []
    host = make_host()
    run(host, "signup", email=ANN, password=PASSWORD)
    event.listen(host.engine, "before_cursor_execute", lambda *values: statements.append(values[2]))
    assert metrics(host)
    assert read(host)
    assert statements == []


WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, *rest):
        if name.partition(".")[0] in ("prometheus_client", "opentelemetry"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

if sys.argv[2] == "without":
    sys.meta_path.insert(0, Missing())
from authhost import AuthHost, Settings

settings = Settings(secret_key="k" * 48, database_url=sys.argv[1], email_verification="none")
with AuthHost(settings, discover=False, upgrade_database=True) as host:
    with host.request() as request:
        host.account.signup(request, email="ann@example.org", password="green teapots sing at dawn")
    from authhost.operations.monitoring import metrics
    assert any(each.name == "authhost_flows_total" for each in metrics(host))
    assert "prometheus_client" not in sys.modules
"""


@pytest.mark.parametrize("how", ["with", "without"])
def test_flows_do_not_import_the_client(tmp_path, how):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, f"sqlite:///{tmp_path / 'site.sqlite3'}", how],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def authhost(folder, *arguments):
    env = {
        "AUTHHOST_SECRET_KEY": "k" * 48,
        "AUTHHOST_DATABASE_URL": f"sqlite:///{folder / 'metrics.sqlite3'}",
        "AUTHHOST_PLUGINS": "",
        "AUTHHOST_EMAIL_VERIFICATION": "none",
    }
    return CliRunner().invoke(cli, arguments, env=env)


def test_command_prints_the_text_format(tmp_path, monkeypatch):
    pytest.importorskip("prometheus_client")
    authhost(tmp_path, "db", "upgrade")
    result = authhost(tmp_path, "metrics", "--prometheus")
    assert result.exit_code == 0
    assert "# TYPE authhost_password_hashes_waiting gauge\n" in result.output
    both = authhost(tmp_path, "metrics", "--prometheus", "--json")
    assert both.exit_code == 2
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "authhost.operations.prometheus", raising=False)
    missing = authhost(tmp_path, "metrics", "--prometheus")
    assert (missing.exit_code, "pip install 'authhost[metrics]'" in missing.output) == (2, True)
    numbers = authhost(tmp_path, "metrics", "--json")
    assert numbers.exit_code == 0
    assert json.loads(numbers.output.splitlines()[0])["name"] == "authhost_background_jobs"
