"""``authhost init``: a configuration that works at once, and whose comments are right."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from authhost import Settings
from authhost.cli.init import TEMPLATE
from authhost.cli.main import cli


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(cli, ["init", *arguments])


def test_the_file_is_private_and_its_secret_fresh(run):
    assert run().exit_code == 0
    assert Path("authhost.toml").stat().st_mode & 0o777 == 0o600
    first = Settings.load("authhost.toml").secret_key
    assert run("--path", "other.toml").exit_code == 0
    assert len(first) >= 43
    assert first != Settings.load("other.toml").secret_key


def test_an_existing_file_stays_unless_forced(run):
    Path("authhost.toml").write_text("# mine\n")
    told = run()
    assert (told.exit_code, Path("authhost.toml").read_text()) == (1, "# mine\n")
    assert "--force" in told.output
    assert run("--force").exit_code == 0
    assert Path("authhost.toml").stat().st_mode & 0o777 == 0o600


def test_names_are_quoted(run):
    run("--site-name", 'Tom\'s "Teapots" \\ é', "--base-url", "https://example.org")
    assert Settings.load("authhost.toml").site_name == 'Tom\'s "Teapots" \\ é'


def test_every_comment_is_a_valid_setting(tmp_path):
    """A line that an operator uncomments works. Lines of prose begin with a capital letter."""
    text = TEMPLATE.format(secret_key=f'"{"k" * 40}"', site_name='"x"', base_url='"https://example.org"')
    lines = [re.sub(r"^# (?=[a-z\[])", "", line) for line in text.splitlines()]
    lines = [line for line in lines if not line.startswith('database_url = "sqlite')]
    path = tmp_path / "authhost.toml"
    path.write_text("\n".join(lines))
    tomllib.loads(path.read_text())
    settings = Settings.load(path)
    assert settings.trusted_proxies == 1
    assert settings.plugin_settings["email"]["transport"] == "smtp"


@pytest.mark.parametrize("existing", ["", 'secret_key = "mine"\n'])
def test_a_wrong_value_writes_nothing(run, existing):
    """Neither a file that must be removed first, nor a replaced one whose secret is gone."""
    if existing:
        Path("authhost.toml").write_text(existing)
    told = run("--force", "--base-url", "example.org")
    assert (told.exit_code, "base_url must be" in told.output) == (2, True), told.output
    assert (Path("authhost.toml").read_text() if existing else "") == existing
    assert [each.name for each in Path().iterdir()] == (["authhost.toml"] if existing else [])


def test_a_folder_that_is_not_there(run):
    told = run("--path", "nowhere/authhost.toml")
    assert told.exit_code == 1
    assert "cannot be written" in told.output


def test_the_next_steps_work(run):
    assert run("--base-url", "https://example.org").exit_code == 0
    upgraded = CliRunner().invoke(cli, ["db", "upgrade"])
    assert upgraded.exit_code == 0, upgraded.output
    checked = CliRunner().invoke(cli, ["check", "--json"])
    assert '"level": "error"' not in checked.output
