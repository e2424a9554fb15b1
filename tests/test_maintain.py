"""``authhost maintain``: the daily work of the host and its plugins."""

from __future__ import annotations

import json

import pytest
from authhost_hookspecs import hookimpl
from click.testing import CliRunner
from conftest import PASSWORD

from authhost import AuthHost, Settings
from authhost.cli.main import cli
from authhost.operations.maintenance import DELETE_EXPIRED, REPEAT_DELETIONS, maintain, task_names

SECRET = "9rZkQ2vX7mLwT4pYc8sBnH1jUeGdFa6oViKx0tRqW3yEzNhP"


def tidy(host):
    return "3 rows deleted"


def breaks(host):
    raise OSError("secret text")


def says_nothing(host):
    return None


class Daily:
    def __init__(self, *tasks):
        self.tasks = tasks

    @hookimpl
    def register_maintenance(self):
        return list(self.tasks)


class Unloadable:
    @hookimpl
    def register_maintenance(self):
        raise ImportError("no such module")


def test_all_tasks_run_although_one_fails(make_host, run, clock):
    host = make_host({"daily": Daily(breaks, says_nothing, tidy), "gone": Unloadable()})
    run(host, "signup", email="ann@example.org", password=PASSWORD)
    clock.forward(days=400)
    results = list(maintain(host))
    assert results[0][:2] == (DELETE_EXPIRED, "done")
    assert "1 of authhost_session" in results[0].detail
    assert results[1:] == [
        (REPEAT_DELETIONS, "done", "no deletion has failed"),
        ("daily.breaks", "failed", "OSError"),
        ("daily.says_nothing", "failed", "it returned a NoneType; correct the plugin"),
        ("daily.tidy", "done", "3 rows deleted"),
        ("gone", "failed", "its tasks cannot be loaded: ImportError"),
    ]


def test_one_task_or_the_tasks_of_one_plugin(make_host):
    host = make_host({"daily": Daily(tidy, says_nothing), "other": Daily(tidy)})
    assert task_names(host) == [
        DELETE_EXPIRED,
        REPEAT_DELETIONS,
        "daily.tidy",
        "daily.says_nothing",
        "other.tidy",
    ]
    assert [each.task for each in maintain(host, ["daily"])] == ["daily.tidy", "daily.says_nothing"]
    assert [each.task for each in maintain(host, ["other.tidy", DELETE_EXPIRED])] == [
        DELETE_EXPIRED,
        "other.tidy",
    ]


@pytest.fixture
def call(tmp_path, monkeypatch):
    for name in ("audit", "email", "analytics"):
        pytest.importorskip(f"authhost_{name}", reason=f"SKIPPED: run `pip install authhost-{name}`")
    url = f"sqlite:///{tmp_path / 'site.sqlite3'}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTHHOST_SECRET_KEY", SECRET)
    monkeypatch.setenv("AUTHHOST_DATABASE_URL", url)
    monkeypatch.setenv("AUTHHOST_PLUGINS", "audit,email,analytics")
    settings = Settings(secret_key=SECRET, database_url=url, plugins=("audit", "email", "analytics"))
    AuthHost(settings, upgrade_database=True, background=False).close()

    def call(*args, code=0):
        result = CliRunner().invoke(cli, ["maintain", *args])
        assert result.exit_code == code, result.output
        return result

    return call


def test_the_plugins_of_this_project_do_their_daily_work(call):
    lines = call().stdout.splitlines()
    assert lines[0] == f"{DELETE_EXPIRED}: done: nothing had expired"
    assert sorted(lines[1:]) == [
        "analytics.roll_up_events: done: 0 events counted",
        "audit.prune: done: 0 records deleted",
        "audit.seal: done: there is no signing_key, so nothing was sealed",
        f"{REPEAT_DELETIONS}: done: no deletion has failed",
        "email.clean_outbox: done: 0 messages deleted",
    ]
    assert call().stdout.splitlines() == lines, "it can be repeated"


def test_options(call):
    [result] = map(json.loads, call("--only", "email", "--json").stdout.splitlines())
    assert result == {"task": "email.clean_outbox", "result": "done", "detail": "0 messages deleted"}
    assert "audit.prune" in call("--list").stdout
    assert "Did you mean 'email'?" in call("--only", "emial", code=2).output


def test_a_failing_task_makes_the_command_fail(call, monkeypatch):
    monkeypatch.setattr("authhost_email.outbox.clean", breaks)
    result = call(code=1)
    assert "email.clean_outbox: failed: TypeError" in result.stdout
    assert "audit.prune: done" in result.stdout


def test_it_seals_with_a_key(call, monkeypatch):
    from authhost_audit.signing import new_key

    monkeypatch.setenv("AUTHHOST_PLUGINS__AUDIT__SIGNING_KEY", new_key()[0])
    assert "audit.seal: done: 0 records sealed" in call("--only", "audit.seal").stdout
