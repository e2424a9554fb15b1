"""The health and the metrics of a host and its plugins, in the process and on the command line."""

from __future__ import annotations

import json
import re
import threading

import pytest
from authhost_hookspecs import Actor, Health, Metric, hookimpl
from click.testing import CliRunner

from authhost import AuthHost, Settings
from authhost.cli.main import cli
from authhost.operations.core_metrics import CORE_METRICS
from authhost.operations.monitoring import health, metrics


class Reporting:
    def __init__(self, *, health=(), metrics=()):
        self.health, self.metrics = list(health), list(metrics)

    @hookimpl
    def register_health(self):
        return self.health

    @hookimpl
    def register_metrics(self):
        return self.metrics


def gauge(name, value=1, **labels):
    return Metric(name, value, "gauge", "A number.", labels)


def failing(host):
    yield Health("before", "ok")
    raise KeyError("s3cret")


def nothing(host):
    pass


def of_plugin(found, plugin):
    return [(each.name, each.status, each.detail) for each in found if each.plugin == plugin]


def test_health_of_the_database_and_of_plugins(make_host):
    good = Reporting(health=[lambda host: [Health("bell", "degraded", "rings twice")]])
    host = make_host(
        {
            "good": good,
            "broken": Reporting(
                health=[failing, lambda host: ["ok"], lambda host: [7, Health("after", "ok")], nothing]
            ),
        }
    )
    found = health(host)
    assert [(name, status) for name, status, _ in of_plugin(found, None)] == [
        ("database", "ok"),
        ("migrations", "ok"),
        ("rate_limits", "ok"),
        ("passwords", "ok"),
        ("background", "ok"),
        ("plugins", "ok"),
        ("deletions", "ok"),
    ]
    assert re.fullmatch(r"it answers in \d+\.\d ms", found[0].detail)
    assert of_plugin(found, "good") == [("bell", "degraded", "rings twice")]
    assert of_plugin(found, "broken") == [
        ("before", "ok", ""),
        ("failing", "failed", "the check failed: KeyError"),
        ("<lambda>", "failed", "register_health: it yielded a str, not a Health; correct the plugin"),
        ("after", "ok", ""),
        ("<lambda>", "failed", "register_health: it yielded an int, not a Health; correct the plugin"),
        (
            "nothing",
            "failed",
            "register_health: it returned a NoneType, not Health values; correct the plugin",
        ),
    ]


def test_health_check_that_cannot_be_loaded_is_failed(make_host):
    class Unloadable:
        @hookimpl
        def register_health(self):
            raise KeyError("s3cret")

    host = make_host({"unloadable": Unloadable()})
    found = of_plugin(health(host), "unloadable")
    assert found == [("health_checks", "failed", "failed to load: KeyError")]


def test_missing_and_outdated_database_have_failed(tmp_path):
    url = f"sqlite:///{tmp_path / 'none.sqlite3'}"
    settings = Settings(secret_key="k" * 48, database_url=url, email_verification="none")
    with AuthHost(settings, discover=False, check_database=False) as host:
        found = health(host)[0]
        assert (found.plugin, found.name, found.status) == (None, "database", "failed")
        assert "migrations" not in [each.name for each in health(host)]
        assert "authhost db upgrade" in found.detail
        (tmp_path / "none.sqlite3").touch()
        name, status, detail = of_plugin(health(host), None)[1]
        assert (name, status) == ("migrations", "failed")
        assert "run `authhost db upgrade`" in detail


def test_check_that_hangs_is_failed_and_breaks_no_other(make_host):
    released, asked = threading.Event(), []

    def hangs(host):
        asked.append(host)
        yield Health("before", "ok")
        released.wait(30)

    bell = Reporting(health=[hangs, lambda host: [Health("bell", "ok")]])
    host = make_host({"bell": bell, "door": Reporting(health=[lambda host: [Health("door", "ok")]])})
    found = health(host, timeout=0.05)
    assert of_plugin(found, "bell") == [
        ("before", "ok", ""),
        ("hangs", "failed", "the check has not ended after 0.05 s"),
        ("bell", "ok", ""),
    ]
    assert of_plugin(found, "door") == [("door", "ok", "")]
    # It is not started again while it runs: otherwise each look at the health would leave a thread.
    assert of_plugin(health(host, timeout=0.05), "bell")[1][1] == "failed"
    assert len(asked) == 1
    released.set()
    for thread in threading.enumerate():
        if thread.name == "authhost-health":
            thread.join()
    assert ("before", "ok", "") in of_plugin(health(host), "bell")
    assert len(asked) == 2


def states(host):
    return {each.name: (each.status, each.detail) for each in health(host) if each.plugin is None}


def test_hash_library_that_fails_and_full_queue(make_host):
    host = make_host()
    passwords = host.services.passwords
    assert states(host)["passwords"] == ("ok", "0 threads wait for a password hash")
    passwords._slots._queued.extend([threading.Event()] * (host.settings.password_hash_queue // 2))
    assert states(host)["passwords"][0] == "degraded"
    passwords._slots._queued.clear()
    passwords._mark_failing("argon2", ValueError())
    detail = "the hash library fails for argon2; `authhost check` says what to do"
    assert states(host)["passwords"] == ("failed", detail)


def test_rate_limits_are_counted_where_the_settings_say(make_host):
    assert states(make_host(rate_limits=True))["rate_limits"] == ("ok", "each process counts for itself")
    assert states(make_host(rate_limits=False))["rate_limits"] == ("ok", "there are none")
    pytest.importorskip("redis")
    unreachable = states(make_host(rate_limits=True, redis_url="redis://127.0.0.1:1/0"))
    assert unreachable["rate_limits"] == (
        "failed",
        "Redis does not answer, so nobody can log in; start it, or correct redis_url",
    )


def test_redis_answers(make_host, redis_url):
    assert states(make_host(rate_limits=True, redis_url=redis_url))["rate_limits"] == ("ok", "Redis answers")


def test_background_jobs_that_hang(make_host):
    host, released, started = make_host(background_timeout=0.01), threading.Event(), threading.Event()

    def hangs():
        started.set()
        released.wait(30)

    host.in_background(hangs)
    started.wait(30)
    pool = host.services.background._pool()
    with pool.changed:
        assert pool.changed.wait_for(lambda: pool.hanging, 30)
    assert states(host)["background"] == ("degraded", "0 jobs wait, 1 run, 1 of them too long")
    released.set()
    assert host.wait_for_background(30)
    assert states(host)["background"] == ("ok", "0 jobs wait, 0 run")


def test_refused_plugin_is_degraded(make_host):
    class Refused:
        @hookimpl
        def no_such_hook(self): ...

    host = make_host({"wrong": Refused()})
    assert states(host)["plugins"] == ("degraded", "refused: wrong; `authhost plugins list` says why")


def test_metrics_of_the_core_count_calls_of_hooks(make_host, run):
    class Hooked:
        @hookimpl
        def user_signed_up(self, user):
            raise KeyError

    host = make_host({"hooked": Hooked()})
    run(host, "signup", email="ann@example.org", password="green teapots sing at dawn")
    own = [each for each in metrics(host) if each.labels.get("plugin") == "hooked"]
    found = {(each.name, each.labels.get("hook")): each for each in own}
    calls = found["authhost_hook_calls_total", "user_signed_up"]
    assert (calls.value, calls.kind, dict(calls.labels)) == (
        1,
        "counter",
        {"plugin": "hooked", "hook": "user_signed_up"},
    )
    assert found["authhost_hook_failures_total", "user_signed_up"].value == 1
    assert found["authhost_hook_seconds_total", "user_signed_up"].value > 0


def test_metrics_of_plugins_are_collected_and_checked(make_host, caplog):
    def broken(host):
        yield gauge("authhost_bell_before")
        raise KeyError("s3cret")

    own = [
        gauge("authhost_bell_rings", room="a"),
        gauge("authhost_bell_rings", 2, room="b"),
        gauge("authhost_bell_rings", 3, room="b"),
        Metric("authhost_bell_rings", 1, "gauge", "Another help.", {"room": "c"}),
        gauge("authhost_other_rings"),
    ]
    host = make_host(
        {
            "bell": Reporting(
                metrics=[broken, lambda host: own, lambda host: [1, gauge("authhost_bell_after")]]
            )
        }
    )
    found = [each for each in metrics(host) if each.name.startswith(("authhost_bell", "authhost_other"))]
    assert [(each.name, each.value) for each in found] == [
        ("authhost_bell_after", 1),
        ("authhost_bell_before", 1),
        ("authhost_bell_rings", 1),
        ("authhost_bell_rings", 2),
    ]
    for line in (
        "the metrics of plugin bell failed: KeyError in broken",
        "the metrics of plugin bell failed in <lambda>: register_metrics: it yielded an int",
        "plugin bell has the metric authhost_other_rings, which must start with authhost_bell_",
        "plugin bell has the metric authhost_bell_rings twice with the same labels",
        "plugin bell has the metric authhost_bell_rings with two kinds or help texts",
    ):
        assert line in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"name": "authhost-bell"}, "name must consist of"),
        ({"name": "authhost_bell_total"}, "must end with _total"),
        ({"kind": "counter"}, "must end with _total"),
        ({"kind": "histogram"}, "kind must be one of gauge, counter"),
        ({"value": float("nan")}, "value must be finite"),
        ({"kind": "counter", "name": "x_total", "value": -1}, "at least 0"),
        ({"help": "two\nlines"}, "help must be one line"),
        ({"help": "red \x1b[31m"}, "help must be one line of printable characters"),
        ({"labels": {"__name__": "x"}}, "name of a label"),
        ({"labels": {"room": 3}}, "value of a label must be a str"),
    ],
)
def test_unusable_metric_is_refused(values, reason):
    with pytest.raises(ValueError, match=reason):
        Metric(**{"name": "authhost_bell", "value": 1, "kind": "gauge", "help": "A number.", **values})


@pytest.mark.parametrize(("name", "status"), [("bell", "fine"), ("", "ok"), ("two words", "ok")])
def test_unusable_health_is_refused(name, status):
    with pytest.raises(ValueError, match="must be"):
        Health(name, status)


def test_detail_of_health_is_one_line():
    assert Health("bell", "ok", "one\r\ntwo\x1b[31m\u2028three").detail == "one  two [31m three"
    with pytest.raises(TypeError, match="detail must be a str"):
        Health("bell", "ok", b"")


def test_name_of_a_check_is_one_line(make_host):
    def check(host):
        raise KeyError

    check.__name__ = "evil\nname"
    host = make_host({"bell": Reporting(health=[check])})
    assert of_plugin(health(host), "bell") == [("function", "failed", "the check failed: KeyError")]


def test_metric_belongs_to_one_plugin(make_host, caplog):
    def of(*found):
        return Reporting(metrics=[lambda host: found])

    calls = Metric("authhost_hook_calls_total", 9, "counter", "Calls of hooks.", {"x": "y"})
    info = Metric("authhost_plugin_info", 9, "gauge", "The plugins that were found.", {"x": "y"})
    host = make_host(
        {
            "hook": of(calls, gauge("authhost_hook_own", x="y")),
            "plugin": of(info),
            "bell-room": of(gauge("authhost_bell_room_size", side="a")),
            "bell": of(gauge("authhost_bell_room_size", side="b")),
        }
    )
    found = [each.name for each in metrics(host) if each.labels and set(each.labels) <= {"side", "x"}]
    assert found == ["authhost_bell_room_size", "authhost_hook_own"]
    for line in (
        "plugin hook has the metric authhost_hook_calls_total, which authhost itself has, too",
        "plugin plugin has the metric authhost_plugin_info, which authhost itself has, too",
        "has the metric authhost_bell_room_size, which plugin bell",
    ):
        assert line in caplog.text


def test_every_metric_of_the_core_is_reserved(make_host, run):
    class Hooked:
        @hookimpl
        def user_signed_up(self, user): ...

    host = make_host({"hooked": Hooked()})
    run(host, "signup", email="ann@example.org", password="green teapots sing at dawn")
    host.plugins.block("hooked", reason="it hangs", actor=Actor("operator", name="root"))
    assert {each.name for each in metrics(host)} == set(CORE_METRICS)


# The command line.


def authhost(folder, *arguments):
    env = {
        "AUTHHOST_SECRET_KEY": "k" * 48,
        "AUTHHOST_DATABASE_URL": f"sqlite:///{folder / 'status.sqlite3'}",
        "AUTHHOST_PLUGINS": "email",
    }
    return CliRunner().invoke(cli, arguments, env=env)


def test_commands(tmp_path):
    pytest.importorskip("authhost_email")
    missing = authhost(tmp_path, "status", "--json")
    assert missing.exit_code == 1
    assert json.loads(missing.output.splitlines()[0])["status"] == "failed"
    assert authhost(tmp_path, "db", "upgrade").exit_code == 0
    result = authhost(tmp_path, "status", "--json")
    assert result.exit_code == 0
    rows = {row["name"]: row for row in map(json.loads, result.output.splitlines())}
    assert {(row["plugin"], row["status"]) for row in rows.values()} == {(None, "ok"), ("email", "ok")}
    core = {"database", "migrations", "rate_limits", "passwords", "background", "plugins", "deletions"}
    assert core | {"outbox", "delivery"} == set(rows)
    assert "no message is overdue" in authhost(tmp_path, "status").output
    result = authhost(tmp_path, "metrics", "--json")
    assert result.exit_code == 0
    numbers = [json.loads(line) for line in result.output.splitlines()]
    (queued,) = [row["value"] for row in numbers if row["name"] == "authhost_email_queued"]
    assert queued == 0
    plugins = [row["labels"] for row in numbers if row["name"] == "authhost_plugin_info"]
    assert {"plugin": "email", "status": "loaded"} in plugins
    assert "authhost_email_oldest_seconds" in authhost(tmp_path, "metrics").output


def test_strict_status_fails_for_something_degraded(tmp_path):
    pytest.importorskip("authhost_audit")
    assert authhost(tmp_path, "db", "upgrade").exit_code == 0

    def status(*options):
        env = {
            "AUTHHOST_SECRET_KEY": "k" * 48,
            "AUTHHOST_DATABASE_URL": f"sqlite:///{tmp_path / 'status.sqlite3'}",
            "AUTHHOST_PLUGINS": "email,audit",
            "AUTHHOST_PLUGINS__AUDIT__RECORDING": "false",
        }
        CliRunner().invoke(cli, ["db", "upgrade"], env=env)
        return CliRunner().invoke(cli, ["status", *options], env=env)

    assert status().exit_code == 0
    result = status("--strict", "--json")
    assert result.exit_code == 1
    rows = [json.loads(line) for line in result.output.splitlines()]
    assert [row["name"] for row in rows if row["status"] == "degraded"] == ["recording"]
