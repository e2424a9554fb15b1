"""What `--help` and shell completion list: the plugins' commands, while no plugin is imported."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys

import pytest

from authhost.cli import command_discovery
from authhost.cli.command_discovery import _click_options
from authhost.cli.lazy_host import LazyHost
from authhost.cli.main import LAZY_COMMANDS, cli

SECRET = "9rZkQ2vX7mLwT4pYc8sBnH1jUeGdFa6oViKx0tRqW3yEzNhP"
RUN = """
import json, sys
from authhost.cli import main

sys.argv[0] = "authhost"
try:
    main()
finally:
    print("\\n" + json.dumps(sorted(sys.modules)))
"""
HEAVY = {
    "alembic",
    "authhost_analytics",
    "authhost_audit",
    "authhost_email",
    "authhost_hookspecs",
    "cryptography",
    "passlib",
    "pluggy",
    "pydantic",
    "requests",
    "rich",
    "sqlalchemy",
}
"""What takes long to import, and the plugins."""
OWN_HELP = (
    "--help",
    "--version",
    "",
    *(f"{name} --help" for name in (*LAZY_COMMANDS, "tour")),
    "db upgrade --help",
    "plugins new --help",
    "providers check --help",
)
COMMANDS = """
import click
from authhost_hookspecs import hookimpl

@click.command("ring", short_help="Ring the bell.")
def ring():
    "A text over several lines,"

@hookimpl
def register_commands():
    return [ring]
"""
HOOKS_ONLY = """
from authhost_hookspecs import hookimpl

@hookimpl
def user_logged_in(request):
    "register_commands is what it has not."
"""


def run(command, folder, **environment):
    """What a command prints, and the modules that it has imported."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AUTHHOST_")}
    done = subprocess.run(
        [sys.executable, "-c", RUN, *command.split()],
        env={**kept, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    printed, _, modules = done.stdout.rstrip().rpartition("\n")
    return printed + done.stderr, set(json.loads(modules))


def listed(text):
    """The commands in a help text, with their lines."""
    rows = text.partition("Commands:\n")[2].splitlines()
    return {words[0]: " ".join(words[1:]) for row in rows if (words := row.split())}


def install(folder, name, source, entry_points, summary=None):
    """Install a distribution with one module into a folder."""
    (folder / f"{name}.py").write_text(f"open({str(folder / 'imported')!r}, 'w').close()\n{source}")
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    about = f"Summary: {summary}\n" if summary else ""
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{about}")
    (metadata / "entry_points.txt").write_text(entry_points)


@pytest.mark.parametrize("command", OWN_HELP)
def test_help_imports_nothing_that_takes_long(tmp_path, command):
    printed, modules = run(command, tmp_path)
    assert "Usage: " in printed or "version" in printed
    assert {name.partition(".")[0] for name in modules} & HEAVY == set()
    assert "authhost.host" not in modules


@pytest.mark.parametrize(
    ("words", "number", "expected"),
    [
        ("authhost ", 1, {*LAZY_COMMANDS, "tour"}),
        ("authhost plu", 1, {"plugins"}),
        ("authhost db u", 2, {"upgrade"}),
    ],
)
def test_shell_completion_imports_nothing_that_takes_long(tmp_path, words, number, expected):
    completion = {"COMP_WORDS": words, "COMP_CWORD": str(number), "_AUTHHOST_COMPLETE": "bash_complete"}
    printed, modules = run("", tmp_path, **completion)
    found = {line.partition(",")[2] for line in printed.splitlines()}
    assert expected <= found
    assert all(name.startswith(words.split(" ")[-1]) for name in found)
    assert {name.partition(".")[0] for name in modules} & HEAVY == set()


def completed(words, folder, **environment):
    """What the shell completes the last word to. Nothing that takes long may have been imported."""
    number = str(len(words.split(" ")) - 1)
    completion = {"COMP_WORDS": words, "COMP_CWORD": number, "_AUTHHOST_COMPLETE": "bash_complete"}
    printed, modules = run("", folder, **completion, **environment)
    assert {name.partition(".")[0] for name in modules} & {"alembic", "rich", "sqlalchemy"} == set()
    return [line.removeprefix("plain,") for line in printed.splitlines() if line.startswith("plain,")]


@pytest.mark.parametrize("command", ["show", "block", "unblock", "check"])
def test_completion_offers_plugins(tmp_path, command):
    pytest.importorskip("authhost_audit")
    assert completed(f"authhost plugins {command} aud", tmp_path) == ["audit"]


@pytest.mark.parametrize("command", ["hooks", "plugins why"])
def test_completion_offers_hooks(tmp_path, command):
    assert completed(f"authhost {command} user_logged_", tmp_path) == ["user_logged_in", "user_logged_out"]


def test_completion_offers_the_configured_providers(tmp_path):
    (tmp_path / "authhost.toml").write_text('[providers.google]\nclient_id = "x"\n[providers.github]\n')
    environment = {"AUTHHOST_PROVIDERS__ACME__CLIENT_ID": "y"}
    assert completed("authhost providers check ", tmp_path, **environment) == ["acme", "github", "google"]
    assert completed("authhost providers check goo", tmp_path) == ["google"]
    (tmp_path / "authhost.toml").write_text("not TOML")
    assert completed("authhost providers check ", tmp_path) == []


@pytest.mark.parametrize(
    ("plugin", "words", "expected"),
    [
        ("audit", "authhost audit se", ["seal", "search"]),
        ("audit", "authhost audit search --event user_logged_", ["user_logged_in", "user_logged_out"]),
        ("audit", "authhost audit tail --reason invalid_cr", ["invalid_credentials"]),
        ("email", "authhost email preview welc", ["welcome"]),
        ("email", "authhost email send-test --kind welc", ["welcome"]),
        ("email", "authhost email outbox --status de", ["dead"]),
        ("analytics", "authhost analytics report --by prov", ["provider"]),
        ("mfa", "authhost mfa list --bl", ["--blocked"]),
    ],
)
def test_completion_imports_only_the_commands_of_a_plugin(tmp_path, plugin, words, expected):
    pytest.importorskip(f"authhost_{plugin}")
    assert completed(words, tmp_path) == expected


def test_completion_knows_no_command_of_an_excluded_plugin(tmp_path):
    pytest.importorskip("authhost_audit")
    assert "search" not in completed("authhost --block audit audit se", tmp_path)


def test_a_plugin_that_declares_no_commands_is_loaded_for_completion(tmp_path):
    source = COMMANDS.replace('"ring"', '"bell"').replace("def ring", '@click.option("--loud")\ndef ring')
    install(tmp_path, "bell", source.replace("ring():", "ring(loud):"), "[authhost]\nbell = bell\n")
    words = {"COMP_WORDS": "authhost bell --l", "COMP_CWORD": "2", "_AUTHHOST_COMPLETE": "bash_complete"}
    assert run("", tmp_path, PYTHONPATH=str(tmp_path), **words)[0].splitlines() == ["plain,--loud"]


def test_importing_a_command_leaves_no_incomplete_package_behind(tmp_path, monkeypatch):
    package = tmp_path / "chimes"
    package.mkdir()
    (package / "__init__.py").write_text("from chimes.tables import plugin\n")
    (package / "tables.py").write_text("plugin = 1\n")
    (package / "commands.py").write_text("import click\n\n@click.command()\ndef ring():\n    pass\n")
    metadata = tmp_path / "chimes-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: chimes\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[authhost.commands]\nring = chimes.commands:ring\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    command = command_discovery.import_command("ring")
    assert command is not None
    assert command.name == "ring"
    assert not any(each.partition(".")[0] == "chimes" for each in sys.modules)
    assert importlib.import_module("chimes").plugin == 1
    assert command_discovery.import_command("ring") is not command
    (package / "commands.py").write_text("raise ValueError\n")
    for each in [each for each in sys.modules if each.partition(".")[0] == "chimes"]:
        monkeypatch.delitem(sys.modules, each)
    importlib.invalidate_caches()
    assert command_discovery.import_command("ring") is None
    assert command_discovery.import_command("nothing") is None


def test_completion_offers_the_plugins_commands_with_their_help(tmp_path):
    pytest.importorskip("authhost_audit")
    completion = {"COMP_WORDS": "authhost au", "COMP_CWORD": "1", "_AUTHHOST_COMPLETE": "zsh_complete"}
    printed, _ = run("", tmp_path, **completion)
    assert printed.splitlines() == ["plain", "audit", "Read, seal, verify and forward the audit..."]


def test_the_list_is_what_the_plugins_register(monkeypatch):
    monkeypatch.setenv("AUTHHOST_SECRET_KEY", SECRET)
    registered = LazyHost(None).registry().commands()
    found = command_discovery.discover_commands(lambda plugin: False)
    assert {name: each.get_short_help_str() for name, each in found.items()} == {
        name: each.get_short_help_str() for name, each in registered.items()
    }


@pytest.mark.parametrize(
    ("command", "environment", "toml"),
    [
        ("--block audit --help", {}, ""),
        ("--help --block audit", {}, ""),
        ("--help", {"AUTHHOST_BLOCKED_PLUGINS": "nope, audit"}, ""),
        ("--help", {"AUTHHOST_PLUGINS": "email,analytics"}, 'plugins = ["audit"]'),
        ("--help", {}, 'blocked_plugins = ["audit"]'),
        ("--help", {}, 'plugins = ["email", "analytics"]'),
        ("--block audit --help", {"AUTHHOST_BLOCKED_PLUGINS": "email"}, 'blocked_plugins = ["email"]'),
        ("--config etc/site.toml --help", {}, ""),
        ("--help", {"AUTHHOST_CONFIG": "etc/site.toml"}, ""),
    ],
)
def test_what_the_settings_leave_out_is_not_listed(tmp_path, command, environment, toml):
    for name in ("audit", "email"):
        pytest.importorskip(f"authhost_{name}")
    (tmp_path / "authhost.toml").write_text(toml)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "site.toml").write_text('blocked_plugins = ["audit"]\n[plugins.email]\n')
    found = listed(run(command, tmp_path, **environment)[0])
    assert "email" in found
    assert "audit" not in found


@pytest.mark.parametrize("toml", ["", '[plugins.audit]\naddresses = "x"', 'blocked_plugins = "audit"'])
def test_a_setting_that_leaves_nothing_out_hides_nothing(tmp_path, toml):
    pytest.importorskip("authhost_audit")
    (tmp_path / "authhost.toml").write_text(toml)
    assert "audit" in listed(run("--help", tmp_path)[0])


def test_a_declared_command_is_listed_with_its_help(tmp_path):
    points = "[authhost]\nbell = bell\n[authhost.commands]\nring = bell:ring\nelsewhere = bell:nothing\n"
    install(tmp_path, "bell", COMMANDS, points, "A bell.")
    found = listed(run("--help", tmp_path, PYTHONPATH=str(tmp_path))[0])
    assert found["ring"] == "Ring the bell."
    assert found["elsewhere"] == "A bell."
    assert "bell" not in found
    blocked = listed(run("--block bell --help", tmp_path, PYTHONPATH=str(tmp_path))[0])
    assert {"ring", "elsewhere"} & set(blocked) == set()
    assert not (tmp_path / "imported").exists()


def test_of_two_plugins_in_a_distribution_one_may_be_blocked(tmp_path):
    points = "[authhost]\nbell = bell\nhorn = bell:x\n[authhost.commands]\nbell = bell:y\nhorn = bell:z\n"
    install(tmp_path, "bell", COMMANDS, points)
    found = listed(run("--block horn --help", tmp_path, PYTHONPATH=str(tmp_path))[0])
    assert {"bell", "horn"} & set(found) == {"bell"}


@pytest.mark.parametrize(
    ("summary", "line"), [("A bell.", "A bell."), (None, "Commands of the plugin bell.")]
)
def test_a_plugin_that_declares_no_command_is_listed_by_its_name(tmp_path, summary, line):
    install(tmp_path, "bell", COMMANDS, "[authhost]\nbell = bell\n", summary)
    install(tmp_path, "horn", HOOKS_ONLY, "[authhost]\nhorn = horn\n", "A horn.")
    found = listed(run("--help", tmp_path, PYTHONPATH=str(tmp_path))[0])
    assert found["bell"] == line
    assert "horn" not in found
    assert not (tmp_path / "imported").exists()
    assert "bell" not in listed(run("--block bell --help", tmp_path, PYTHONPATH=str(tmp_path))[0])
    # Its command has another name.
    assert "The plugins' commands are: " in (said := run("bell", tmp_path, PYTHONPATH=str(tmp_path))[0])
    assert "ring" in said
    assert "No such command 'ring'" not in run("ring", tmp_path, PYTHONPATH=str(tmp_path))[0]


@pytest.mark.parametrize("points", ["bell = bell.deep.er\n", "bell = no_such_module:x\n", "bell = 3\n"])
def test_a_plugin_that_is_broken_ends_no_help(tmp_path, points):
    install(tmp_path, "bell", "def (", f"[authhost]\n{points}[authhost.commands]\nring = bell:ring\n")
    printed, _ = run("--help", tmp_path, PYTHONPATH=str(tmp_path))
    assert "Traceback" not in printed
    assert listed(printed)["ring"] == "Commands of the plugin ring."


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "authhost.toml").write_text("not toml")
    for command in ("--help", "--config nope.toml --help"):
        printed, _ = run(command, tmp_path)
        assert "Warning: the plugins' commands are not listed: cannot read " in printed
        assert set(LAZY_COMMANDS) < set(listed(printed.partition("Warning")[0])), printed


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('@click.command()\ndef ring():\n    """Ring. And\n    more."""\n', {"help": "Ring. And\nmore."}),
        ('@click.group(help="Given.")\ndef ring():\n    """Its own."""\n', {"help": "Given."}),
        ('@command(hidden=True)\n@click.option("--x", help="No.")\ndef ring(x): ...\n', {"hidden": True}),
        ('@click.option(\n    "--x", help="No"\n)\ndef ring(\n    x,\n):\n    """Yes"""\n', {"help": "Yes"}),
        ('def other():\n    """No."""\n\n\ndef ring():\n    pass\n\n\nx = """No."""\n', {}),
        ('def ring():\n    """Ring\nat the margin."""\n', {"help": "Ring\nat the margin."}),
        ("ring = click.Command('ring')\n", None),
    ],
)
def test_help_is_read_from_the_source(source, expected):
    found = _click_options(f"import click\n\n\n{source}\n\ndef last():\n    '''Last.'''\n", "ring")
    assert found == (None if expected is None else {"help": None, **expected})


def test_every_lazy_module_has_its_command():
    assert {cli._builtin_command(name).name for name in LAZY_COMMANDS} == set(LAZY_COMMANDS)
