"""What operators do: settings, the check, plugins on the command line, tidying up."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from unittest.mock import ANY

import pytest
from authhost_hookspecs import Finding, PluginTables, hookimpl
from command_server import run_command
from conftest import PASSWORD, Recorder
from sqlalchemy import MetaData, create_engine, func, select, text

from authhost import AuthHost, Settings
from authhost.cli.checks import problems
from authhost.errors import ConfigurationError, RequiredPluginFailed
from authhost.operations.console import Terminal
from authhost.store.models import Session

SECRET = "9rZkQ2vX7mLwT4pYc8sBnH1jUeGdFa6oViKx0tRqW3yEzNhP"


def authhost(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_command(*arguments, **{"AUTHHOST_SECRET_KEY": SECRET, **environment})


def status(*arguments: str, **environment: str) -> dict[str, str]:
    done = authhost(*arguments, "plugins", "list", "--json", **environment)
    return {row["name"]: row["status"] for row in map(json.loads, done.stdout.splitlines())}


# Settings.


def test_settings_from_file_environment_and_code(tmp_path, monkeypatch):
    file = tmp_path / "authhost.toml"
    file.write_text(
        'site_name = "Teapots"\nsession_idle = 60\nplugins = ["email"]\n'
        'rate_limits = {login = "1/minute/ip"}\n'
    )
    monkeypatch.setenv("AUTHHOST_SECRET_KEY", SECRET)
    monkeypatch.setenv("AUTHHOST_SESSION_IDLE", "90.5")
    monkeypatch.setenv("AUTHHOST_SIGNUP_OPEN", "false")
    monkeypatch.setenv("AUTHHOST_BLOCKED_PLUGINS", "audit, analytics")
    settings = Settings.load(file, max_email_addresses=3)
    assert settings == Settings(
        site_name="Teapots",
        session_idle=90.5,
        secret_key=SECRET,
        signup_open=False,
        plugins=("email",),
        blocked_plugins=("audit", "analytics"),
        rate_limits={"login": "1/minute/ip"},
        max_email_addresses=3,
    )


def test_rate_limits_off_by_environment(monkeypatch):
    monkeypatch.setenv("AUTHHOST_RATE_LIMITS", "false")
    assert Settings.load(secret_key=SECRET).rate_limits is False


def test_settings_of_plugins_from_file_and_environment(tmp_path, monkeypatch, make_host):
    @dataclass(frozen=True)
    class BellSettings:
        volume: int = 3
        name: str = "ding"
        loud: bool = False

    class Bell:
        @hookimpl
        def register_settings(self):
            return BellSettings

    file = tmp_path / "authhost.toml"
    file.write_text('[plugins.bell]\nname = "dong"\nvolume = 4\n')
    monkeypatch.setenv("AUTHHOST_PLUGINS__BELL__VOLUME", "11")
    monkeypatch.setenv("AUTHHOST_PLUGINS__BELL__LOUD", "true")
    given = Settings.load(file, secret_key=SECRET).plugin_settings
    host = make_host({"bell": Bell()}, plugin_settings=given)
    assert host.plugin_settings("bell") == BellSettings(11, "dong", True)
    with pytest.raises(ConfigurationError, match="plugin bell has no setting 'volum'; did you mean 'volume'"):
        make_host({"bell": Bell()}, plugin_settings={"bell": {"volum": 1}})
    with pytest.raises(ConfigurationError, match="volume"):
        make_host({"bell": Bell()}, plugin_settings={"bell": {"volume": "much"}})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"secret_key": "short"}, "at least 32 characters"),
        ({"sesion_idle": 3}, "did you mean 'session_idle'"),
        ({"session_idle": "long"}, "session_idle"),
        ({"email_verification": "sometimes"}, "email_verification"),
        ({"password_min_length": 6}, "at least 8"),
        ({"password_max_length": 32}, "at least 64"),
    ],
)
def test_a_wrong_setting_is_named(given, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        Settings.load(**{"secret_key": SECRET, **given})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"volume": 12}, "a setting of plugin bell is not valid: volume must be at most 11"),
        ({"volume": -1}, "a setting of plugin bell is not valid: ValueError"),
        ({"volume": 1.5}, "a setting of plugin bell is not valid: volume: Input should be a valid integer"),
    ],
)
def test_what_a_settings_class_refuses_itself_is_a_sentence(make_host, given, sentence):
    @dataclass(frozen=True)
    class BellSettings:
        volume: int = 3

        def __post_init__(self) -> None:
            if self.volume < 0:
                raise ValueError
            if self.volume > 11:
                raise ValueError("volume must be at most 11")

    class Bell:
        @hookimpl
        def register_settings(self):
            return BellSettings

    with pytest.raises(ConfigurationError) as caught:
        make_host({"bell": Bell()}, plugin_settings={"bell": given})
    assert str(caught.value).startswith(sentence)


def test_a_secret_is_not_shown_by_a_wrong_setting():
    with pytest.raises(ConfigurationError) as caught:
        Settings.load(secret_key=SECRET, redis_url=["redis://:hunter2@localhost"])
    assert "hunter2" not in str(caught.value)
    assert SECRET not in repr(Settings(secret_key=SECRET))


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "no url", "sqlite:///file:x?mode=memory"])
def test_a_database_that_cannot_serve_is_named(url):
    with pytest.raises(ConfigurationError, match="sqlite:///"):
        AuthHost(Settings(secret_key=SECRET, database_url=url), discover=False, check_database=False)


# The check.


@pytest.mark.parametrize("kind", ["postgresql+pg8000", "nothing"])
def test_a_driver_that_is_not_installed_is_named(kind):
    settings = Settings(secret_key=SECRET, database_url=f"{kind}://site@127.0.0.1/site")
    with pytest.raises(ConfigurationError, match=re.escape(f"the driver of {kind} is not installed")):
        AuthHost(settings, discover=False)


def test_an_extra_of_pip_is_shown_whole(capsys):
    Terminal().print_rows([{"do": "pip install authhost[redis]"}], as_json=False, empty="")
    assert "authhost[redis]" in capsys.readouterr().out


@pytest.fixture
def no_variables(monkeypatch):
    for name in [each for each in os.environ if each.startswith("AUTHHOST_")]:
        monkeypatch.delenv(name)


def test_a_variable_that_sets_nothing_is_found(monkeypatch, make_host, no_variables):
    monkeypatch.setenv("AUTHHOST_DATABSE_URL", "sqlite:///secret")
    monkeypatch.setenv("AUTHHOST_PLUGINS__EMAIL", "smtp")
    monkeypatch.setenv("AUTHHOST_PLUGINS__EMAIL__SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("AUTHHOST_SITE_NAME", "Teapots")
    found = {each.problem: each.do for each in problems(make_host()) if "sets nothing" in each.problem}
    assert found == {
        "the environment has AUTHHOST_DATABSE_URL, which sets nothing": "did you mean AUTHHOST_DATABASE_URL?",
        "the environment has AUTHHOST_PLUGINS__EMAIL, which sets nothing": ANY,
    }


WIDE = [{"name": "captcha", "hooks": ["user_signed_up", "user_logged_in"], "reason": "is not to be had " * 9}]


def test_a_pipe_has_no_edge(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    Terminal().print_rows(WIDE, as_json=False, empty="")
    assert "is not to be had " * 8 in capsys.readouterr().out


def test_in_a_narrow_terminal_no_word_is_cut(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    Terminal().print_rows(WIDE, as_json=False, empty="")
    table = capsys.readouterr().out
    assert "user_signed_up, user_logged_in" in table
    assert max(map(len, table.splitlines())) <= 80
    monkeypatch.setenv("COLUMNS", "32")
    Terminal().print_rows(
        [*WIDE, {"name": "audit" * 9, "hooks": None, "reason": None}], as_json=False, empty=""
    )
    rows = capsys.readouterr().out
    assert [line.split()[0] for line in rows.splitlines() if line[:1].isalpha()] == [*WIDE[0], *WIDE[0]]
    assert "audit" * 9 in rows  # a word is not cut, so that it can be copied
    assert max(len(line) for line in rows.splitlines() if "auditaudit" not in line) <= 32


def test_all_is_well(make_host, no_variables):
    host = make_host(
        secret_key=SECRET,
        base_url="https://example.org",
        site_name="Teapots",
        rate_limits=True,
        redis_url=None,
        password_hash_options={"argon2__type": "ID", "argon2__memory_cost": 19456, "argon2__time_cost": 2},
    )
    assert {each.problem for each in problems(host) if each.level != "hint"} == {
        "each process counts rate limits separately"
    }


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"base_url": "http://example.org"}, "links"),
        ({"base_url": "http://localhost:8000"}, "other machines cannot open"),
        ({"site_name": "authhost"}, "e-mails call the site 'authhost'"),
        ({"trace": True}, "standard error"),
        ({"database_url": "sqlite:///site.sqlite3"}, "one machine"),
        ({"secret_key": "k" * 48}, "secret_key"),
        ({"session_idle": 9e9}, "session_idle"),
        ({"password_min_length": 8}, "15 characters"),
        ({"login_on_password_reset": True}, "mailbox"),
        ({"password_schemes": ("pbkdf2_sha256",), "password_hash_options": {}}, "pbkdf2_sha256"),
        ({"password_hash_options": {"argon2__memory_cost": 8192, "argon2__time_cost": 2}}, "8192 KiB"),
        ({"password_hash_options": {"argon2__memory_cost": 8192}}, "8192 KiB"),
        ({"password_hash_options": {"argon2__time_cost": 1, "argon2__memory_cost": 30000}}, "1 passes"),
        ({"password_hash_options": {"argn2__time_cost": 2}}, "argn2 is not in password_schemes"),
        ({"rate_limits": False}, "off"),
    ],
)
def test_an_unsafe_setting_is_found(make_host, changed, word):
    host = make_host()
    safe = {
        "base_url": "https://example.org",
        "site_name": "Teapots",
        "secret_key": SECRET,
        "database_url": "postgresql+psycopg://site@db.example.org/site",
        "rate_limits": True,
        "password_hash_options": {"argon2__memory_cost": 19456, "argon2__time_cost": 2},
    }
    host.services = replace(host.services, settings=replace(host.settings, **safe))
    assert not any(word in each.problem for each in problems(host))
    host.services = replace(host.services, settings=replace(host.settings, **changed))
    assert any(word in each.problem and each.do for each in problems(host))


@pytest.mark.parametrize(
    ("setting", "level", "do"),
    [
        ({"plugin_settings": {"recordr": {"transport": "smtp"}}}, "error", "did you mean 'recorder'?"),
        ({"blocked_plugins": ("recordr",)}, "error", "did you mean 'recorder'?"),
        ({"plugins": ("recorder", "recordr")}, "error", "did you mean 'recorder'?"),
        ({"plugin_settings": {"zzz": {}}}, "warning", "install authhost-zzz"),
        ({"blocked_plugins": ("zzz",)}, "warning", "install authhost-zzz"),
        ({"plugins": ("recorder", "zzz")}, "warning", "install authhost-zzz"),
    ],
)
def test_a_plugin_name_that_nothing_has_is_found(make_host, setting, level, do):
    name = next(each for each in ("recordr", "zzz") if each in str(setting))
    host = make_host()
    host.services = replace(host.services, settings=replace(host.settings, **setting))
    [found] = [each for each in problems(host) if repr(name) in each.problem]
    assert found.level == level
    assert do in found.do


# What plugins find.


class Finds:
    """One finding from the settings, and one from the database."""

    def __init__(self, *checks):
        self.checks = list(checks)

    @hookimpl
    def register_checks(self):
        return self.checks


def of_settings(host):
    yield Finding("error", f"{host.settings.site_name} rings at night", "set volume")


def of_database(host):
    yield Finding("hint", "seen before the database", "nothing")
    with host.reader.connect() as connection:
        connection.execute(text("SELECT count(*) FROM authhost_user")).scalar_one()
    yield Finding("warning", "seen in the database", "look")


def broken(host):
    yield Finding("hint", "seen before the fault", "nothing")
    raise RuntimeError("hunter2")


def wrong(host):
    return ["a finding", Finding("hint", "beside a wrong value", "nothing")]


def of_plugin(host, name):
    return [(each.level, each.problem) for each in problems(host) if each.plugin == name]


def test_plugins_add_findings(make_host):
    host = make_host({"bell": Finds(of_settings, of_database)}, site_name="Teapots")
    assert of_plugin(host, "bell") == [
        ("error", "Teapots rings at night"),
        ("hint", "seen before the database"),
        ("warning", "seen in the database"),
    ]


def test_a_check_that_fails_is_a_finding_without_its_text(make_host):
    host = make_host({"bell": Finds(broken, wrong, of_settings)}, site_name="Teapots")
    assert of_plugin(host, "bell") == [
        ("hint", "seen before the fault"),
        ("error", "a check of this plugin failed: RuntimeError"),
        ("hint", "beside a wrong value"),
        (
            "error",
            "the check wrong of this plugin is wrong: register_checks: it yielded a str, not a Finding",
        ),
        ("error", "Teapots rings at night"),
    ]


class FailsToRegister:
    @hookimpl
    def register_checks(self):
        raise SystemExit


def test_checks_that_fail_to_load_stop_nothing(make_host, caplog):
    host = make_host({"bell": FailsToRegister(), "whistle": Finds(of_settings)})
    assert of_plugin(host, "whistle")
    assert "the checks of plugin bell failed to load: SystemExit" in caplog.text


def test_without_a_database_all_else_is_checked(tmp_path):
    settings = Settings(
        secret_key=SECRET,
        database_url=f"sqlite:///{tmp_path / 'none.sqlite3'}",
        base_url="http://example.org",
        email_verification="none",
        blocked_plugins=("bel",),
    )
    plugins = {"bell": Finds(of_database, of_settings)}
    with AuthHost(settings, plugins=plugins, discover=False, check_database=False) as host:
        assert of_plugin(host, "bell") == [
            ("hint", "seen before the database"),
            ("error", "authhost rings at night"),
        ]
        found = {each.problem: each for each in problems(host)}
        assert any("not up to date" in each or "cannot be used" in each for each in found)
        assert "links in e-mails start with http://example.org" in found
        assert any("blocked_plugins names 'bel'" in each for each in found)


@pytest.mark.parametrize("level", ["fatal", "", None])
def test_a_finding_has_a_level(level):
    with pytest.raises(ValueError, match="error, warning, hint"):
        Finding(level, "a problem", "do this")


def test_check_on_the_command_line(tmp_path):
    url = f"sqlite:///{tmp_path / 'site.sqlite3'}"
    late = authhost("check", "--json", AUTHHOST_DATABASE_URL=url)
    assert late.returncode == 1
    assert "authhost db upgrade" in late.stdout
    assert authhost("db", "upgrade", AUTHHOST_DATABASE_URL=url).returncode == 0
    assert authhost("check", AUTHHOST_DATABASE_URL=url).returncode == 0
    plain = authhost("check", "--json", AUTHHOST_DATABASE_URL=url, AUTHHOST_BASE_URL="http://example.org")
    assert plain.returncode == 1
    no_mail = authhost("--block", "email", "check", "--json", AUTHHOST_DATABASE_URL=url)
    assert "pip install authhost-email" in no_mail.stdout
    no_secret = authhost("check", "--json", AUTHHOST_DATABASE_URL=url, AUTHHOST_SECRET_KEY="")
    assert "AUTHHOST_SECRET_KEY" in no_secret.stdout


def test_missing_required_plugins_hide_no_other_problem(tmp_path):
    url = f"sqlite:///{tmp_path / 'site.sqlite3'}"
    settings = {"AUTHHOST_DATABASE_URL": url, "AUTHHOST_BASE_URL": "http://example.org"}
    required = {"AUTHHOST_REQUIRED_PLUGINS": "audit,nothing,void"}
    done = authhost("--block", "email", "check", "--json", **settings, **required)
    assert done.returncode == 1
    for sentence in (
        "required plugin 'nothing' is not installed",
        "required plugin 'void' is not installed",
        "links in e-mails start with http://example.org",
        "authhost db upgrade",
        "pip install authhost-email",
        "signing_key",
    ):
        assert sentence in done.stdout, sentence
    assert "required plugin 'audit'" not in done.stdout


# Migrations.


def test_a_newer_database_is_left_alone(tmp_path):
    url = f"sqlite:///{tmp_path / 'site.sqlite3'}"
    assert authhost("db", "upgrade", AUTHHOST_DATABASE_URL=url).returncode == 0
    with create_engine(url).begin() as connection:
        connection.execute(text("UPDATE authhost_core_version SET version_num = '9999'"))
    for command in ("upgrade", "current"):
        done = authhost("db", command, AUTHHOST_DATABASE_URL=url)
        assert done.returncode == 2
        assert "core is at revision 9999" in done.stderr
        assert "install the version that upgraded it" in done.stderr


@pytest.mark.parametrize(
    ("revisions", "sentence"),
    [
        ({"0001": None, "0002": "0000"}, "the migrations of bell are broken: '0000' is a down_revision"),
        ({"0001": None, "0002": "0001", "0003": "0001"}, "the migrations of bell are broken: .*heads"),
    ],
)
@pytest.mark.filterwarnings("ignore:Revision 0000")
def test_migrations_that_are_no_line_are_named(tmp_path, monkeypatch, make_host, revisions, sentence):
    package = tmp_path / f"bell_migrations_{len(revisions)}"
    package.mkdir()
    (package / "__init__.py").touch()
    for revision, down in revisions.items():
        (package / f"r{revision}.py").write_text(
            f"revision, down_revision = {revision!r}, {down!r}\ndef upgrade(): pass\n"
        )
    monkeypatch.syspath_prepend(tmp_path)

    class Bell:
        @hookimpl
        def register_tables(self):
            return PluginTables(MetaData(), package.name)

    with pytest.raises(ConfigurationError, match=sentence):
        make_host({"bell": Bell()})


# Plugins.


def test_plugins_are_blocked_and_required_by_option_and_environment():
    assert status("--block", "audit")["audit"] == "blocked"
    assert status(AUTHHOST_BLOCKED_PLUGINS="email")["email"] == "blocked"
    only = status(AUTHHOST_PLUGINS="audit")
    assert only.pop("audit") == "loaded"
    assert {"analytics", "email"} <= set(only)
    assert set(only.values()) == {"blocked"}
    done = authhost("--require", "captcha", "plugins", "list")
    assert done.returncode == 2
    assert "pip install authhost-captcha" in done.stderr
    assert authhost("--require", "audit", "--block", "audit", "plugins", "list").returncode == 2


class FailsAtStart:
    @hookimpl
    def host_started(self, host):
        raise RuntimeError

    @hookimpl
    def host_stopping(self, host):
        raise SystemExit

    @hookimpl
    def register_commands(self):
        raise RuntimeError


def test_a_plugin_that_fails_at_start_and_end_stops_no_host(make_host):
    host = make_host({"failing": FailsAtStart()})
    assert host.registry.commands() == {}
    host.close()
    record = next(each for each in host.registry.records if each.name == "failing")
    assert {hook: stats.failures for hook, stats in record.stats.items()} == {
        "host_started": 1,
        "host_stopping": 1,
        "register_commands": 1,
    }
    with pytest.raises(RequiredPluginFailed):
        make_host({"failing": FailsAtStart()}, required_plugins=("failing",))


class NoSettings:
    @hookimpl
    def register_settings(self):
        raise LookupError("no file")


class WrongTables:
    @hookimpl
    def register_tables(self):
        return ["a table"]


class NoReason:
    @hookimpl
    def register_tables(self):
        return PluginTables(MetaData(), "authhost.store.migrations", retained={"authhost_bad_row": " "})


class NoSuchTable:
    @hookimpl
    def register_tables(self):
        retained = {"authhost_bad_row": "invoices are kept for ten years"}
        return PluginTables(MetaData(), "authhost.store.migrations", retained=retained)


@pytest.mark.parametrize(
    ("plugin", "sentence"),
    [
        (NoReason(), "retained.'authhost_bad_row'. must be the reason, in words"),
        (NoSuchTable(), "names the retained table 'authhost_bad_row', which is not in its metadata"),
        (NoSettings(), "register_settings failed .LookupError: no file.; repair"),
        (WrongTables(), "register_tables must return a PluginTables, not list"),
    ],
)
def test_a_plugin_that_cannot_declare_itself_is_refused(make_host, plugin, sentence):
    host = make_host({"bad": plugin})
    assert host.registry.records[0].status == "refused"
    with pytest.raises(ConfigurationError, match=sentence):
        make_host({"bad": plugin}, required_plugins=("bad",))


def test_stats_by_plugin_and_hook(make_host, run):
    host = make_host(email_verification="none")
    run(host, "signup", email="ann@example.org", password=PASSWORD)
    stats = host.plugin_stats()
    assert stats["recorder", "user_signed_up"].calls == stats["recorder", "user_logged_in"].calls == 1
    assert stats["recorder", "user_signed_up"].nanoseconds > 0


def test_verification_needs_a_deliverer(database_url):
    for verification in ("optional", "mandatory"):
        settings = Settings(secret_key=SECRET, database_url=database_url, email_verification=verification)
        with pytest.raises(ConfigurationError, match="pip install authhost-email"):
            AuthHost(settings, discover=False, upgrade_database=True)
    AuthHost(replace(settings, email_verification="none"), discover=False, upgrade_database=True).close()


def test_two_hosts_in_one_process(make_host, run, tmp_path, recorder):
    other = Recorder()
    one = make_host({}, email_verification="none")
    two = AuthHost(
        replace(one.settings, database_url=f"sqlite:///{tmp_path / 'two.sqlite3'}"),
        plugins={"recorder": other},
        discover=False,
        upgrade_database=True,
    )
    with two:
        run(one, "signup", email="ann@example.org", password=PASSWORD)
        assert other.names == []
        run(two, "signup", email="ann@example.org", password=PASSWORD)
    assert recorder.names == other.names


# Tidying up.


def test_expired_rows_are_deleted(make_host, run, recorder, clock):
    host = make_host()
    run(host, "signup", email="ann@example.org", password=PASSWORD)
    run(host, "request_password_reset", email="ann@example.org")
    assert sum(host.delete_expired().values()) == 0
    clock.forward(hours=1)
    assert host.delete_expired()["authhost_password_reset"] == 1
    clock.forward(days=3)
    assert host.delete_expired()["authhost_email_confirmation"] == 1
    clock.forward(days=11)
    assert host.delete_expired()["authhost_session"] == 1
    with host.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(Session)).scalar() == 0


def test_migrations_make_the_tables_of_the_models(make_host):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from authhost.store.models import metadata

    def has_it(each, name, kind, *others):
        partial = kind == "index" and each.dialect_options["postgresql"].get("where") is not None
        return not partial or host.engine.dialect.name in ("postgresql", "sqlite")

    host = make_host()
    with host.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": has_it})
        differences = compare_metadata(context, metadata)
    changed = [each for each in differences if not (isinstance(each, tuple) and each[0] == "remove_table")]
    assert changed == []


@pytest.mark.parametrize("name", ["audit", "email", "analytics", "mfa"])
def test_migrations_of_the_plugins_make_their_tables(tmp_path, name):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    plugin = pytest.importorskip(f"authhost_{name}").plugin
    tables = plugin.register_tables()
    assert all(each.startswith(f"authhost_{name}_") for each in tables.metadata.tables)
    settings = Settings(
        secret_key=SECRET,
        database_url=f"sqlite:///{tmp_path / 'x.sqlite3'}",
        email_verification="none",
        plugins=(name,),
    )
    with AuthHost(settings, upgrade_database=True) as host, host.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), tables.metadata)
    removed = {each[1].name for each in differences if each[0] == "remove_table"}
    assert not [each for each in differences if each[0] not in ("remove_table", "remove_index")]
    assert not removed & set(tables.metadata.tables)


def test_ctrl_c_ends_the_tour():
    tour = subprocess.Popen(
        [sys.executable, "-m", "authhost.cli", "tour", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert tour.stdout is not None
    assert tour.stdout.readline()
    tour.send_signal(signal.SIGINT)
    assert tour.wait(timeout=60) == 130


# Providers.


def social_file(tmp_path, *tables):
    file = tmp_path / "site.toml"
    file.write_text(f'database_url = "sqlite:///{tmp_path / "site.sqlite3"}"\n' + "\n".join(tables))
    return str(file)


def findings(file, name):
    done = authhost("--config", file, "providers", "check", name, "--json")
    rows = {row["check"]: row for row in map(json.loads, done.stdout.splitlines())}
    return done.returncode, rows


def test_providers_list(tmp_path):
    file = social_file(tmp_path, '[providers.office]\nprovider = "google"\nclient_id = "x"')
    done = authhost("--config", file, "providers", "list", "--json")
    [row] = map(json.loads, done.stdout.splitlines())
    assert row["redirect_uri"] == "http://localhost:8000/account/social/office/callback"
    assert (row["provider"], row["protocol"]) == ("google", "OpenID Connect")
    everything = authhost("--config", file, "providers", "list", "--all").stdout
    assert "mastodon" in everything
    assert "openid profile" in everything


def test_providers_check(tmp_path, openid, oauth1):
    app = 'client_id = "x"\nclient_secret = "y"\n'
    file = social_file(
        tmp_path,
        f'[providers.corp]\nprovider = "openid_connect"\nserver = "{openid.url}"\n{app}',
        f'[providers.slash]\nprovider = "openid_connect"\nserver = "{openid.url}/"\n{app}',
        f'[providers.gone]\nprovider = "openid_connect"\nserver = "http://127.0.0.1:9"\n{app}',
    )
    code, rows = findings(file, "corp")
    assert code == 0
    assert {name: row["result"] for name, row in rows.items()} == {
        "redirect URI": "ok",
        "discovery": "ok",
        "PKCE": "unclear",
        "ID token": "ok",
        "credentials": "ok",
    }
    code, rows = findings(file, "slash")
    assert (code, rows["discovery"]["result"]) == (1, "error")
    assert "another issuer" in rows["discovery"]["do"]
    code, rows = findings(file, "gone")
    assert "cannot be reached" in rows["discovery"]["do"]
    assert authhost("--config", file, "providers", "check", "none").returncode == 1


def test_providers_check_knows_a_wrong_secret(make_host, scripted):
    from authhost.cli.provider_check import findings

    app = {"provider": "openid_connect", "server": scripted.url, "client_id": "x"}
    host = make_host(base_url="http://site.example", providers={"corp": app})
    scripted.metadata["id_token_signing_alg_values_supported"] = ["HS256"]
    scripted.metadata["code_challenge_methods_supported"] = ["plain"]
    scripted.instead["/token"] = lambda handler: (401, {}, b'{"error": "invalid_client"}')
    found = {each.check: each for each in findings(host, host.services.providers.app("corp"))}
    assert {name: each.result for name, each in found.items()} == {
        "redirect URI": "error",
        "client secret": "unclear",
        "PKCE": "error",
        "ID token": "error",
        "discovery": "ok",
        "credentials": "error",
    }
    assert "client_secret" in found["credentials"].do


def test_providers_check_of_oauth1(make_host, oauth1):
    from conftest import Declares

    from authhost.cli.provider_check import findings

    declares = {"d": Declares(oauth1.declaration())}
    for secret, result in ((oauth1.secret, "ok"), ("wrong" * 9, "error")):
        app = {"client_id": oauth1.client, "client_secret": secret}
        host = make_host(declares, providers={"oauth1": app})
        assert list(findings(host, host.services.providers.app("oauth1")))[-1].result == result


def test_providers_rotate(tmp_path, openid, arrive):
    file = social_file(
        tmp_path,
        "store_social_tokens = true",
        f'encryption_keys = ["{"o" * 40}"]',
        f'[providers.corp]\nprovider = "openid_connect"\nserver = "{openid.url}"',
        'client_id = "x"\nclient_secret = "y"',
    )
    with AuthHost(
        Settings.load(file, secret_key=SECRET, email_verification="none"),
        discover=False,
        upgrade_database=True,
    ) as host:
        openid.person("r", email="r@example.org")
        arrive(host, "corp", lambda url: openid.agree(url, "r"))
    keys = {"AUTHHOST_ENCRYPTION_KEYS": f"{'n' * 40},{'o' * 40}", "AUTHHOST_EMAIL_VERIFICATION": "none"}
    blocked = {"AUTHHOST_BLOCKED_PLUGINS": "audit,email,analytics,mfa"}
    done = authhost("--config", file, "providers", "rotate", **keys, **blocked)
    assert "1 values were encrypted with the first key" in done.stdout
    lost = authhost(
        "--config", file, "providers", "rotate", **{**keys, **blocked, "AUTHHOST_ENCRYPTION_KEYS": "x" * 40}
    )
    assert (lost.returncode, "1 values need a key that is not listed" in lost.stderr) == (1, True)


def test_the_check_looks_at_providers(make_host):
    host = make_host(
        store_social_tokens=True,
        urls={"social_callback": "/callback"},
        providers={"okta": {"client_id": "x", "server": "https://o.example", "login_by_email": True}},
    )
    said = " ".join(each.problem for each in problems(host))
    for part in ("use the same callback", "encrypted by secret_key", "okta has login_by_email"):
        assert part in said
