"""Every command with correct, wrong, missing and hostile input, wherever it may be run.

`command_arguments` lists the commands. A command that is new fails
`test_every_command_is_listed` until it has a line there.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from contextlib import closing
from itertools import count
from uuid import UUID, uuid4

import click
import pytest
from authhost_hookspecs import Actor
from click.testing import CliRunner
from command_arguments import COMMANDS, WITHOUT_JSON
from command_server import run_command
from rich.cells import cell_len
from sqlalchemy import insert

from authhost import AuthHost, Settings
from authhost.cli.main import cli
from authhost.store import tables

for _plugin in ("analytics", "audit", "email", "mfa"):
    pytest.importorskip(f"authhost_{_plugin}", reason=f"SKIPPED: run `pip install authhost-{_plugin}`")

SECRET = "9rZkQ2vX7mLwT4pYc8sBnH1jUeGdFa6oViKx0tRqW3yEzNhP"
CONFIGURATION = """
database_url = "sqlite:///site.sqlite3"
[plugins.email]
delivery = "manual"
[plugins.audit]
signing_key = "{key}"
[providers.local]
provider = "openid_connect"
server = "https://127.0.0.1:1"
client_id = "teapots"
client_secret = "short and stout"
"""
CHEAP = "password_hash_options = {argon2__memory_cost = 64, argon2__time_cost = 1}\n"
"""Makes each start of a host quicker. `check` is run without it, since it finds that."""
ANN = "ann@example.org"
OPERATOR = Actor("operator", name="root")
STORED = {"session": "authhost_session", "record": "authhost_audit_event", "message": "authhost_email_outbox"}
WIDTH = 80
MAX_MESSAGE = 2_000
"""Characters of a message, whatever the input is."""
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
DRAWN = re.compile(r"^[+|\u2500-\u257f]", re.MULTILINE)
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*")
ONE_FORMAT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")
HOSTILE = {
    "controls": "x\r\n\t\x07\x1b[2J\x1b]0;title\x07\x9b31m' OR 1=1; DROP TABLE x; --[red]<b>&%s{0}$(id)",
    "long": "a" * 10_000,
    "surrogate": "x\udcff\ud800y",
    "dash": "--help-me",
    "empty": "",
}
DOCUMENTS = {"analytics export", "audit export", "audit proof", "audit new-key", "users export"}
"""Commands that print something for programs, whatever reads it."""
EMPTY = {"audit forward", "audit seal", "db upgrade", "email suppressed", "mfa list"}
"""Commands that have nothing to print for this site."""
INTERRUPTED = {"needs nothing": ("start",), "changes": ("write", "commit")}
"""When Ctrl-C arrives, by what a command does with the database; otherwise at the first statement."""
every_command = pytest.mark.parametrize("name", COMMANDS)


def walk(command, path=(), parent=None):
    """Yield the name and the click object of each command below ``command``."""
    context = click.Context(command, parent=parent, info_name=path[-1] if path else "authhost")
    if not isinstance(command, click.Group):
        yield " ".join(path), command
        return
    for name in command.list_commands(context):
        if not (child := command.get_command(context, name)).hidden:
            yield from walk(child, (*path, name), context)


@pytest.fixture(scope="module")
def tree():
    return dict(walk(cli))


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A site with accounts, messages and a sealed audit trail, and identifiers of what is in it."""
    from authhost_audit.signing import new_key

    folder = tmp_path_factory.mktemp("template")
    (folder / "authhost.toml").write_text(CHEAP + CONFIGURATION.format(key=new_key()[0]))
    settings = Settings.load(folder / "authhost.toml", secret_key=SECRET)
    with AuthHost(settings, upgrade_database=True, background=False) as host:
        with host.request(ip_address="198.51.100.80") as request:
            host.account.signup(request, email=ANN, username="ann", password="green teapots sing at dawn")
        ann = host.users.get(ANN)
        host.users.verify_email(ann.id, ANN, actor=OPERATOR)
        eve = host.users.create("eve@example.org", username="eve", invite=False, actor=OPERATOR)
        host.users.deactivate(eve.id, actor=OPERATOR)
        host.plugins.block("doorbell", reason="slow", installed=False, actor=OPERATOR)
        connection = {"id": uuid4(), "user_id": ann.id, "provider": "local", "issuer": "x", "uid": "7"}
        times = {"date_joined": host.now, "last_login": host.now}
        with host.engine.begin() as database:
            database.execute(insert(tables.social_accounts).values(**connection, **times, extra_data={}))
    assert run_command("audit", "seal", folder=folder, AUTHHOST_SECRET_KEY=SECRET).returncode == 0
    found = {"user": ann.id, "connection": connection["id"], "file": "new"}
    with closing(sqlite3.connect(folder / "site.sqlite3")) as database:
        for name, table in STORED.items():
            [number] = database.execute(f"SELECT id FROM {table} ORDER BY 1").fetchone()
            found[name] = UUID(number)
    return folder, found


@pytest.fixture
def run(template, tmp_path):
    """Run a command on a new copy of the site. Anything else is an argument of `run_command`."""
    source, names = template

    def run(name, arguments=None, *, changed="", **how):
        folder = tmp_path / f"site-{next(numbers)}"
        shutil.copytree(source, folder)
        if name == "check":
            configuration = folder / "authhost.toml"
            configuration.write_text(configuration.read_text().removeprefix(CHEAP))
        how = {"folder": folder, "AUTHHOST_SECRET_KEY": SECRET, "PYTHONUTF8": "1", "COLUMNS": "", **how}
        given = COMMANDS[name].correct.format(**names).split() if arguments is None else arguments
        done = run_command(*name.split(), *given, *changed.split(), **how)
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        assert "Exception ignored" not in done.stderr, done.stderr
        done.folder = folder
        return done

    numbers = count()
    run.names = names
    return run


def content(folder):
    """Return all rows of the site's database."""
    with closing(sqlite3.connect(folder / "site.sqlite3")) as database:
        return list(database.iterdump())


def is_shown_safely(text):
    """Fail if text can move the cursor, or is longer than a person reads."""
    assert not CONTROL.search(text), ascii(text)
    assert max(map(len, text.splitlines()), default=0) <= MAX_MESSAGE


def test_every_command_is_listed(tree):
    missing = sorted(set(tree) - set(COMMANDS))
    assert not missing, f"add a line for {', '.join(missing)} to COMMANDS in tests/command_arguments.py"
    assert not set(COMMANDS) - set(tree)


@every_command
def test_help(name):
    # In processes of their own: click remembers the options of a command that another test has run.
    texts = [run_command(*name.split(), flag, COLUMNS="80") for flag in ("--help", "-h")]
    assert [each.returncode for each in texts] == [0, 0]
    assert texts[0].stdout == texts[1].stdout
    assert f"authhost {name}" in re.split("Examples?:", texts[0].stdout)[1]
    assert max(map(cell_len, texts[0].stdout.splitlines())) <= WIDTH


@every_command
def test_options_are_named(tree, name):
    for option in tree[name].params:
        if isinstance(option, click.Option):
            assert any(each.startswith("--") for each in option.opts), option.opts
    assert (name in WITHOUT_JSON) != any("--json" in each.opts for each in tree[name].params)


@every_command
def test_wrong_option_and_missing_argument(tree, name):
    done = CliRunner().invoke(cli, [*name.split(), "--nonsense"])
    assert done.exit_code == 2
    assert "No such option '--nonsense'" in done.stderr
    if any(each.required for each in tree[name].params):
        done = CliRunner().invoke(cli, name.split())
        assert done.exit_code == 2
        assert "Missing " in done.stderr


def ends(name, done):
    """Return whether the command ended as it is listed."""
    return done.returncode == COMMANDS[name].code


in_time = [name for name, each in COMMANDS.items() if not each.until_interrupted]
quick = [name for name in in_time if not COMMANDS[name].slow]


@pytest.mark.parametrize("name", in_time)
def test_on_a_terminal(run, name):
    done = run(name, columns=WIDTH, TERM="xterm")
    assert ends(name, done), done.stdout
    for line in ESCAPES.sub("", done.stdout).splitlines():
        shown = line.rsplit("\r")[-1]
        # What is to be copied is not cut, and a document is not wrapped.
        assert cell_len(shown) <= WIDTH or len(shown.split()) <= 2 or name in DOCUMENTS, shown


@pytest.mark.parametrize("name", quick)
def test_in_a_pipe(run, name):
    done = run(name, LC_ALL="C", PYTHONUTF8="", TERM="xterm", FORCE_COLOR="1")
    assert ends(name, done), done.stderr
    assert (done.stdout + done.stderr).isascii()
    assert "\x1b" not in done.stdout + done.stderr
    assert not DRAWN.search(done.stdout)


@pytest.mark.parametrize("name", [each for each in quick if each not in WITHOUT_JSON])
def test_json(run, name):
    """On a terminal, where sentences are wrapped; progress is shown there, too."""
    done = run(name, changed="--json", columns=WIDTH, TERM="xterm")
    assert ends(name, done), done.stdout
    lines = (line.rsplit("\r")[-1] for line in ESCAPES.sub("", done.stdout).splitlines())
    values = [json.loads(line) for line in lines if line.startswith(("{", "["))]
    assert values or name in EMPTY
    while values:
        value = values.pop()
        values += (
            list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        )
        if isinstance(value, str) and TIME.fullmatch(value):
            assert ONE_FORMAT.fullmatch(value), value


@every_command
def test_hostile_arguments(run, tree, name):
    """Control characters, and one of the other values: each of them meets some commands."""
    arguments = [each for each in tree[name].params if isinstance(each, click.Argument)]
    if not arguments:
        return
    others = sorted(set(HOSTILE) - {"controls"})
    for hostile in ("controls", others[in_turn(name, len(others))]):
        done = run(name, ["--", *[HOSTILE[hostile]] * len(arguments)])
        assert done.returncode in (1, 2), (hostile, done.stderr)
        is_shown_safely(done.stderr + done.stdout)


@every_command
def test_hostile_options(run, tree, name):
    """An option that several commands share is tried with the first of them."""
    for option in own_texts(tree, name):
        given = COMMANDS[name].correct.format(**run.names).split()
        done = run(name, [*given, f"{max(option.opts, key=len)}={HOSTILE['controls']}"])
        assert done.returncode in (0, 1, 2), (option.opts, done.stderr)
        is_shown_safely(done.stderr + done.stdout)


def in_turn(name, count):
    """Return a number below ``count`` that is different for commands that follow each other."""
    return list(COMMANDS).index(name) % count


def own_texts(tree, name):
    """Return the options with a value of a command that no command before it has."""
    before = [option for each in COMMANDS if each < name for option in texts_of(tree[each])]
    known = {(*option.opts, option.help) for option in before}
    return [option for option in texts_of(tree[name]) if (*option.opts, option.help) not in known]


def texts_of(command):
    return [each for each in command.params if isinstance(each, click.Option) and not each.is_flag]


@every_command
def test_without_configuration(run, tmp_path, name):
    empty = tmp_path / "empty"
    empty.mkdir()
    done = run(name, folder=empty, AUTHHOST_SECRET_KEY="")
    if COMMANDS[name].kind == "needs nothing":
        assert ends(name, done), done.stderr
    else:
        assert done.returncode in (1, 2)
        assert done.stdout + done.stderr
        assert not list(empty.iterdir())


@pytest.mark.parametrize("name", [each for each in quick if COMMANDS[each].kind != "needs nothing"])
def test_other_databases(run, template, tmp_path, name):
    """One that may only be read, and in turn one of a newer version and none."""
    kind = COMMANDS[name].kind
    read_only = f"sqlite:///file:{template[0]}/site.sqlite3?mode=ro&uri=true"
    newer = shutil.copy(template[0] / "site.sqlite3", tmp_path / "newer.sqlite3")
    with closing(sqlite3.connect(newer)) as database, database:
        database.execute("UPDATE authhost_core_version SET version_num = 'f123'")
    missing = f"sqlite:///{tmp_path}/missing.sqlite3"
    other = [("newer", f"sqlite:///{newer}"), ("missing", missing)][in_turn(name, 2)]
    for case, url in (("read-only", read_only), other):
        done = run(name, AUTHHOST_DATABASE_URL=url)
        if kind == "inspects":
            assert done.returncode in (0, 1, 2), (case, done.stderr)
            continue
        expected = 2
        if case == "read-only":
            expected = COMMANDS[name].code if kind == "reads" else COMMANDS[name].read_only
        assert done.returncode == expected, (case, done.stderr)
        assert expected != 2 or "Error: " in done.stderr
    if name != "db upgrade":
        assert not (tmp_path / "missing.sqlite3").exists()


@every_command
def test_interrupted(run, template, name):
    for moment in INTERRUPTED.get(COMMANDS[name].kind, ("statement",)):
        done = run(name, interrupt=moment)
        if COMMANDS[name].until_interrupted:
            assert done.returncode in (0, 130), (moment, done.stderr)
        else:
            assert done.returncode == 130 or (moment != "start" and ends(name, done)), (moment, done.stderr)
        if done.returncode == 130:
            assert done.stderr.endswith("Aborted!\n"), (moment, done.stderr)
            assert content(done.folder) == content(template[0]), moment
