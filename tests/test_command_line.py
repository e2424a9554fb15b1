"""The command line as a whole: what it reads, opens, starts, closes, and says where it cannot go on."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner
from command_server import CommandServer, inherited, run_command
from sqlalchemy import create_engine, make_url, text

from authhost import AuthHost, Settings
from authhost.cli.main import cli
from authhost.errors import ConfigurationError

SECRET = "9rZkQ2vX7mLwT4pYc8sBnH1jUeGdFa6oViKx0tRqW3yEzNhP"
COMMAND = [sys.executable, "-m", "authhost.cli"]
READING = (
    "check",
    "db current",
    "hooks",
    "hooks host_started",
    "plugins list",
    "plugins show audit",
    "plugins why user_logged_in",
    "providers list",
    "audit tail",
    "audit search --outcome refused",
    "audit export",
    "audit verify",
    "analytics report",
    "email outbox",
    "email suppressed",
    "--help",
    "audit --help",
)
PLANTED = """
import pathlib
import click
from authhost_hookspecs import hookimpl

MARK = pathlib.Path(__file__).with_name("started")


@hookimpl
def host_started(host):
    MARK.touch()


@click.command("planted")
@click.option("--background", is_flag=True)
@click.option("--fail", is_flag=True)
@click.pass_obj
def planted(get_host, background, fail):
    host = get_host(background=True) if background else get_host()
    click.echo(host.settings.site_name)
    if fail:
        raise OSError("of the plugin")


@hookimpl
def register_commands():
    return [planted]
"""


ENCODINGS = {"PYTHONIOENCODING", "LC_ALL", "PYTHONUTF8"}
"""Variables that are read when the interpreter starts."""


class Runner:
    """Runs commands in a folder of their own, where only what is given is set."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, command, **environment):
        words = command.split() if isinstance(command, str) else command
        return run_command(*words, folder=self.folder, **{"AUTHHOST_SECRET_KEY": SECRET, **environment})

    def many(self, commands, how=None, **environment):
        environment = {**inherited(), "AUTHHOST_SECRET_KEY": SECRET, **environment}
        if how is None and not ENCODINGS & set(environment):
            return [self(command, **environment) for command in commands]
        server = CommandServer(environment, **(how or {}))
        try:
            return [server.run(command.split(), self.folder, environment) for command in commands]
        finally:
            server.close()


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    return Runner(folder)


def names(folder):
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*"))


# Which configuration, and which database.


def test_authhost_toml_of_the_current_folder_is_read(run):
    (run.folder / "authhost.toml").write_text('site_name = "Teapots"\ndatabase_url = "sqlite:///t.sqlite3"\n')
    said = run("check").stdout
    assert f"configuration file: {run.folder / 'authhost.toml'}" in said
    assert f"database: {run.folder / 't.sqlite3'}" in said
    assert "mails call the site 'authhost'" not in said
    assert run("db upgrade").returncode == 0
    assert names(run.folder) == ["authhost.toml", "t.sqlite3"]


def test_the_variable_comes_before_it_and_the_option_first(run, tmp_path):
    for name in ("here/authhost", "variable", "option"):
        (tmp_path / f"{name}.toml").write_text(f'site_name = "{name}"\n')
    variable = {"AUTHHOST_CONFIG": str(tmp_path / "variable.toml")}
    assert f"file: {tmp_path / 'variable.toml'}" in run("check", **variable).stdout
    option = f"--config {tmp_path / 'option.toml'} check"
    assert f"file: {tmp_path / 'option.toml'}" in run(option, **variable).stdout


def test_a_plugin_finds_its_settings_in_the_file_of_the_folder(run):
    (run.folder / "authhost.toml").write_text('[plugins.audit]\naddresses = "sometimes"\n')
    done = run("audit tail")
    assert done.returncode == 2
    assert "addresses must be one of" in done.stderr
    assert f"configuration file: {run.folder / 'authhost.toml'}" in done.stderr


def test_an_error_names_the_configuration_and_the_database(run):
    (run.folder / "authhost.toml").write_text("")
    for done in run.many(["db current", "audit tail", "db clean", "email outbox", "analytics report"]):
        sentence(
            done,
            f"configuration file: {run.folder / 'authhost.toml'}",
            f"there is no database file {run.folder / 'authhost.sqlite3'}; run `authhost db upgrade`",
        )
        assert names(run.folder) == ["authhost.toml"]


def test_a_password_is_masked(run):
    url = "postgresql+psycopg://site:hunter2@127.0.0.1:1/site?application_name=hunter3"
    for done in run.many(["check", "audit tail"], AUTHHOST_DATABASE_URL=url):
        assert "postgresql+psycopg://site:***@127.0.0.1:1/site" in done.stdout + done.stderr
        assert "hunter" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_a_path_in_the_file_starts_at_the_folder_of_the_file(run, tmp_path, monkeypatch):
    site = tmp_path / "site 100%"
    site.mkdir()
    toml = site / "authhost.toml"
    toml.write_text('database_url = "sqlite:///data.sqlite3"\n')
    assert run(["--config", str(toml), "db", "upgrade"]).returncode == 0
    assert names(site) == ["authhost.toml", "data.sqlite3"]
    assert names(run.folder) == []
    monkeypatch.chdir(run.folder)
    settings = Settings.load(os.path.relpath(toml), secret_key=SECRET)
    with AuthHost(settings, check_database=True):
        pass
    (run.folder / "data.sqlite3").touch()
    assert Settings.load(toml, secret_key=SECRET).database_url == settings.database_url


def test_a_database_that_was_found_in_the_current_folder_before_is_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "etc").mkdir()
    toml = tmp_path / "etc" / "authhost.toml"
    toml.write_text('database_url = "sqlite:///data.sqlite3"\n')
    (tmp_path / "data.sqlite3").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ConfigurationError, match=r"etc/data.sqlite3, which does not exist, but .*/data.sqlite3"
    ):
        Settings.load(toml, secret_key=SECRET)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////srv/data.sqlite3",
        "sqlite:///:memory:",
        "sqlite://",
        "sqlite:///file:x?uri=true",
        "postgresql:///x",
    ],
)
def test_other_urls_are_left_as_they_are(tmp_path, url):
    toml = tmp_path / "authhost.toml"
    toml.write_text(f'database_url = "{url}"\n')
    assert Settings.load(toml, secret_key=SECRET).database_url == url


def test_a_variable_starts_at_the_current_folder(run, tmp_path):
    (tmp_path / "authhost.toml").write_text('database_url = "sqlite:///other.sqlite3"\n')
    done = run(
        ["--config", str(tmp_path / "authhost.toml"), "db", "upgrade"],
        AUTHHOST_DATABASE_URL="sqlite:///v.sqlite3",
    )
    assert done.returncode == 0
    assert names(run.folder) == ["v.sqlite3"]


# Looking changes nothing.


def test_a_reading_command_creates_nothing(run):
    for done in run.many(READING):
        assert names(run.folder) == [], done
        assert "Traceback" not in done.stderr, done


def planted(folder):
    """A plugin that is installed into a folder: a command, and a mark that it leaves when it is started."""
    (folder / "authhost_planted.py").write_text(PLANTED)
    metadata = folder / "authhost_planted-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: authhost-planted\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[authhost]\nplanted = authhost_planted\n")
    return {"PYTHONPATH": str(folder)}, folder / "started"


@pytest.fixture
def site(run, tmp_path):
    """A database with one mail that is due, and a plugin that would be noticed."""
    away = tmp_path / "planted"
    away.mkdir()
    path, started = planted(away)
    url = f"sqlite:///{tmp_path / 'site.sqlite3'}"
    environment = {**path, "AUTHHOST_DATABASE_URL": url}
    settings = Settings(
        secret_key=SECRET, database_url=url, plugin_settings={"email": {"delivery": "manual"}}
    )
    with AuthHost(settings, upgrade_database=True) as host, host.request() as request:
        host.account.signup(request, email="ann@example.org", password="green teapots sing at dawn")
    return environment, started, url


def mails(url):
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT status, attempts FROM authhost_email_outbox")).all()
    engine.dispose()
    return [tuple(row) for row in rows]


def test_no_command_starts_background_work(run, site):
    environment, started, url = site
    before = mails(url)
    assert ("pending", 0) in before
    for done in run.many([*READING, "db upgrade", "db clean", "planted", "planted --fail"], **environment):
        assert not started.exists(), done
        assert mails(url) == before, done


def test_a_command_whose_purpose_it_is_asks_for_it(run, site):
    environment, started, _ = site
    assert run("planted --background", **environment).stdout == "authhost\n"
    assert started.exists()


@pytest.mark.parametrize(
    "command", ["db current", "audit tail", "providers list", "check", "db clean", "nope"]
)
def test_every_command_closes_its_host(site, monkeypatch, command):
    _, _, url = site
    monkeypatch.setenv("AUTHHOST_DATABASE_URL", url)
    monkeypatch.setenv("AUTHHOST_SECRET_KEY", SECRET)
    opened, closed = set(), []
    init, close = AuthHost.__init__, AuthHost.close
    monkeypatch.setattr(
        AuthHost, "__init__", lambda self, *a, **k: (opened.add(self), init(self, *a, **k))[1]
    )
    monkeypatch.setattr(AuthHost, "close", lambda self: (closed.append(self), close(self))[1])
    CliRunner().invoke(cli, command.split())
    assert set(closed) == opened


# What may only be read.

NEEDS_A_DATABASE = [
    each for each in READING if each.split()[0] in ("check", "db", "audit", "analytics", "email")
]


def all_work(found):
    for done in found:
        # Nothing is sealed here, and that is no success.
        assert done.returncode == (1 if " ".join(done.args) == "audit verify" else 0), done
        assert "readonly" not in done.stderr, done
        assert "Traceback" not in done.stderr, done
        if " ".join(done.args) == "audit export":
            assert "not recorded, because the database is read-only" in done.stderr
        if " ".join(done.args) == "analytics report":
            assert "events since the last roll-up are missing" in done.stderr


def heed_permissions():
    """What root may do in spite of a file's mode is dropped from the programs that this process starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


@pytest.mark.skipif(sys.platform != "linux", reason="root heeds permissions only where Linux lets it")
def test_a_file_that_may_only_be_read_is_looked_at(run, site, tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir()
    file = folder / "site.sqlite3"
    (tmp_path / "site.sqlite3").rename(file)
    file.chmod(0o444)
    folder.chmod(0o555)
    try:
        all_work(
            run.many(
                NEEDS_A_DATABASE,
                {"preexec_fn": heed_permissions},
                AUTHHOST_DATABASE_URL=f"sqlite:///{file}",
            )
        )
        assert names(folder) == ["site.sqlite3"]
    finally:
        folder.chmod(0o755)


@pytest.mark.parametrize("how", ["mode=ro", "immutable=1&mode=ro"])
def test_a_url_that_only_reads_serves(run, site, tmp_path, how):
    url = f"sqlite:///file:{tmp_path / 'site.sqlite3'}?{how}&uri=true"
    all_work(run.many(NEEDS_A_DATABASE, AUTHHOST_DATABASE_URL=url))


@pytest.fixture
def reader_url(database_url):
    """A role that may only read, on the server that is tried."""
    url, role = make_url(database_url), "authhost_test_reader"
    if url.get_backend_name() == "sqlite":
        pytest.skip("SQLite has no roles")
    AuthHost(Settings(secret_key=SECRET, database_url=database_url), upgrade_database=True).close()
    engine = create_engine(database_url, isolation_level="AUTOCOMMIT")
    postgresql = engine.dialect.name == "postgresql"
    owned = [f"DROP OWNED BY {role}"] if postgresql else []
    drop = [*owned, f"DROP ROLE {role}"] if postgresql else [f"DROP USER IF EXISTS {role}"]
    make = (
        [
            f"CREATE ROLE {role} LOGIN",
            f"GRANT USAGE ON SCHEMA public TO {role}",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
        ]
        if postgresql
        else [f"CREATE USER {role}", f"GRANT SELECT ON {url.database}.* TO {role}"]
    )
    with engine.connect() as connection:
        if (
            postgresql
            and not connection.execute(
                text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}
            ).first()
        ):
            drop = []
        for statement in (*drop, *make):
            connection.execute(text(statement))
    yield url.set(username=role, password=None).render_as_string()
    with engine.connect() as connection:
        for statement in [f"DROP OWNED BY {role}", f"DROP ROLE {role}"] if postgresql else drop:
            connection.execute(text(statement))
    engine.dispose()


def test_a_role_that_may_only_read_looks(run, reader_url):
    all_work(run.many(NEEDS_A_DATABASE, AUTHHOST_DATABASE_URL=reader_url))
    for done in run.many(["db clean", "email clean"], AUTHHOST_DATABASE_URL=reader_url):
        sentence(
            done, "the database cannot be used: ", "denied", f"database: {make_url(reader_url).drivername}"
        )


# What cannot go on is a sentence.


def sentence(done, *words, code=2):
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    for word in words:
        assert word in done.stdout + done.stderr


def test_a_file_that_is_no_database(run, tmp_path):
    file = tmp_path / "letter.txt"
    file.write_text("a letter to nobody, of more than a hundred characters " * 9)
    commands = ["db current", "db upgrade", "audit tail", "email outbox", "analytics report"]
    for done in run.many(commands, AUTHHOST_DATABASE_URL=f"sqlite:///{file}"):
        sentence(done, f"{file} is no SQLite database")


def test_a_file_that_is_torn(run, site, tmp_path):
    _, _, url = site
    file = tmp_path / "site.sqlite3"
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    commands = ["db current", "audit tail", "analytics report", "audit verify", "db clean"]
    for done in run.many(commands, AUTHHOST_DATABASE_URL=url):
        sentence(done, f"database: {file}")


@pytest.mark.parametrize(
    "options",
    [
        "{argon2__memory_cost = 1}",
        "{argon2__memory_cost = 'much'}",
        "{argon2__parallelism = 0}",
        "{argon2__memory = 8}",
        "{argon2__type = 'Q'}",
    ],
)
def test_options_of_the_hash_that_do_not_serve(run, options):
    (run.folder / "authhost.toml").write_text(f"password_hash_options = {options}\n")
    check, current = run.many(["check", "db current"])
    sentence(check, "password_hash_options", "mails call the site", code=1)
    sentence(current, "password_hash_options", str(run.folder / "authhost.toml"))


@pytest.mark.parametrize("content", ["not toml", b"\xff\xfe", "site_nam = 1", "session_idle = 'long'"])
def test_a_file_that_cannot_be_read(run, content):
    file = run.folder / "authhost.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    check, current, usage = run.many(["check", "db current", "--help"])
    sentence(check, str(file), code=1)
    sentence(current, str(file))
    sentence(usage, "tour", code=0)


def test_a_configuration_that_is_not_there(run):
    named = [f"--config nope.toml {command}" for command in ("check", "db current", "audit tail")]
    for done in (*run.many(named), run("check", AUTHHOST_CONFIG="nope.toml")):
        sentence(done, "'nope.toml' does not exist")


@pytest.mark.parametrize("command", ["--help", "plugins list", "hooks"])
def test_output_that_cannot_be_written(command):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, *command.split()], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "Error: standard output cannot be used: No space left on device"
    assert "Traceback" not in done.stderr


PRINTING = ("check", "audit tail", "audit verify", "analytics report", "email outbox")


@pytest.mark.parametrize(
    "how",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_output_that_has_no_such_characters(run, site, how):
    for done in run.many(PRINTING, **site[0], **how):
        assert done.returncode == (1 if " ".join(done.args) == "audit verify" else 0), done
        assert "Traceback" not in done.stderr, done


def test_a_plugins_own_failure_is_not_hidden(run, site):
    done = run("planted --fail", **site[0])
    assert done.returncode == 1
    assert "of the plugin" in done.stderr


def test_ctrl_c_while_importing():
    """Sent before each of the imports in turn: a traceback would be of the interpreter."""
    code = (
        "import builtins, os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "own, wanted = builtins.__import__, sys.argv[1]\n"
        "def patched(name, *rest, **more):\n"
        "    if name == wanted:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    return own(name, *rest, **more)\n"
        "builtins.__import__ = patched\n"
        "from authhost.cli import main\n"
        "sys.argv[1:] = ['providers', 'list']\n"
        "main()\n"
    )
    for module in ("click", "sqlalchemy.exc", "authhost.host", "authhost_audit.records"):
        done = subprocess.run(
            [sys.executable, "-c", code, module], capture_output=True, text=True, check=False
        )
        assert done.returncode == 130, (module, done.stderr)
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["plugins time --rounds 1000", "plugins check audit"])
def test_ctrl_c_in_a_command(tmp_path, command):
    running = subprocess.Popen(
        [*COMMAND, *command.split()],
        env={**os.environ, "AUTHHOST_SECRET_KEY": SECRET, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not any(name.endswith(".sqlite3") for name in names(tmp_path)):
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert names(tmp_path) == []


# What is not there is named.


def test_a_hint_names_what_was_meant(run):
    hints = {
        "--block audit audit tail": ["The plugin audit is blocked"],
        "--block adit plugins list": ["--block adit: no plugin of that name", "did you mean 'audit'?"],
        "check --config x": ["Put it before the command: `authhost --config"],
        "plugins list --block x": ["Put it before the command: `authhost --block"],
    }
    for done in run.many(hints):
        for word in hints[" ".join(done.args)]:
            assert word in done.stderr


def test_check_names_what_is_misspelt(run):
    pytest.importorskip("authhost_email")
    (run.folder / "authhost.toml").write_text(
        'blocked_plugins = ["analytic"]\n[plugins.emial]\ntransport = "smtp"\n'
    )
    done, blocked = run.many(["--block nope check --json", "check --json"])
    assert done.returncode == 1
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"level": "error", "do": "did you mean 'email'?"}.items() <= next(
        row for row in rows if "'emial'" in row["problem"]
    ).items()
    assert any("'nope'" in row["problem"] for row in rows)
    assert any("'analytic'" in json.loads(line)["problem"] for line in blocked.stdout.splitlines())
