"""``authhost keys``: lists keys, and changes them in phases."""

from __future__ import annotations

import json
import os
import stat
import tomllib

import pytest
from authhost_audit.signing import new_key
from authhost_mfa.tables import authenticator_table, secret_purpose
from click.testing import CliRunner
from sqlalchemy import insert, select

from authhost import AuthHost, Settings
from authhost.cli.main import cli
from authhost.operations.console import Terminal
from authhost.pluginhost import discovery
from authhost.security.key_age import fingerprint

FORMER = "the former key of 32 characters!"
OTHER = "another key of the environment 40 letters"
FILE = """\
# The site.
secret_key = "{key}"  # secret

base_url = "https://example.org"
email_verification = "none"
database_url = "sqlite:///site.sqlite3"

[plugins.mfa]
policy = "when_enrolled" # as agreed
"""


class Site:
    """A folder with a configuration file and a database; every command opens the host again."""

    def __init__(self, folder):
        self.file = folder / "authhost.toml"
        self.file.write_text(FILE.format(key=FORMER))
        self.file.chmod(0o640)
        with self.host(upgrade_database=True):
            pass

    def settings(self):
        return Settings.load(self.file, plugins=("mfa",))

    def host(self, **options):
        return AuthHost(self.settings(), **options)

    def run(self, *words, code=0):
        result = CliRunner().invoke(cli, ["--config", str(self.file), "keys", *words])
        assert result.exit_code == code, result.output
        return result

    def rows(self, *words):
        return [json.loads(line) for line in self.run(*words, "--json").stdout.splitlines()]

    def rotate(self, name, *words):
        (row,) = self.rows("rotate", name, "--yes", *words)
        return row["phase"]

    def seal(self):
        """Store a secret that is encrypted with the current keys."""
        with self.host() as host:
            identifier = host.new_id()
            row = {"id": identifier, "user_id": identifier, "kind": "totp", "name": ""}
            row |= {"created_at": host.now, "second_factor": True}
            row |= {"secret": host.seal("a secret", secret_purpose(identifier))}
            with host.engine.begin() as connection:
                connection.execute(insert(authenticator_table), row)

    def opened(self):
        with self.host() as host, host.reader.connect() as connection:
            found = connection.execute(select(authenticator_table.c.id, authenticator_table.c.secret))
            return [host.open(row.secret, secret_purpose(row.id)) for row in found]


@pytest.fixture
def site(tmp_path, monkeypatch):
    for name in os.environ:
        if name.startswith("AUTHHOST_") and not name.startswith("AUTHHOST_TEST"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AUTHHOST_PLUGINS", "mfa")
    return Site(tmp_path)


def test_the_list_shows_fingerprints_and_no_keys(site):
    site.seal()
    (row,) = site.rows("list")
    expected = {"name": "secret_key", "fingerprint": fingerprint(FORMER), "status": "active", "values": 1}
    assert expected.items() <= row.items()
    assert fingerprint(FORMER) in site.run("list").output
    assert FORMER not in site.run("list").output


def test_secret_key_is_changed_in_four_phases(site):
    site.seal()
    assert site.rotate("secret_key") == "distribute"
    former, new = site.settings().secret_keys
    assert (former, len(new) > 60) == (FORMER, True)
    assert [each["status"] for each in site.rows("list")] == ["active", "upcoming"]
    assert "activates it" in site.rows("list")[1]["to_do"]
    assert site.rotate("secret_key") == "activate"
    assert site.settings().secret_keys == (new, FORMER)
    assert [(each["status"], each["values"]) for each in site.rows("list")] == [("active", 0), ("former", 1)]
    site.seal()
    (row,) = site.rows("rotate", "secret_key", "--yes")
    assert (row["phase"], row["encrypted"], row["unreadable"]) == ("re-encrypt", 1, 0)
    assert site.rotate("secret_key") == "remove"
    assert site.settings().secret_keys == (new,)
    assert site.opened() == ["a secret"] * 2
    assert site.rotate("secret_key") == "distribute"


def test_encryption_keys_are_changed_in_four_phases(site):
    """Without the setting, the first key is the secret key."""
    site.seal()
    phases = [site.rotate("encryption_keys") for _ in range(4)]
    assert phases == ["distribute", "activate", "re-encrypt", "remove"]
    (key,) = site.settings().encryption_keys
    assert site.settings().secret_key == FORMER
    assert site.opened() == ["a secret"]
    secret, encryption = site.rows("list")
    assert (secret["values"], encryption["values"], encryption["fingerprint"]) == (None, 1, fingerprint(key))
    # The secret key encrypts nothing now.
    assert [site.rotate("secret_key") for _ in range(2)] == ["distribute", "activate"]
    removed = site.run("rotate", "secret_key", "--yes").output
    assert "next: restart all processes; then the change of secret_key is complete" in removed
    assert "encrypts nothing" in site.run("rotate", "secret_key", "--phase", "re-encrypt", code=1).output


def test_the_file_keeps_comments_mode_and_links(site, tmp_path):
    link = tmp_path / "link.toml"
    link.symlink_to(site.file)
    site.file, real = link, site.file
    site.rotate("secret_key")
    text = real.read_text()
    assert link.is_symlink()
    assert "# The site.\n" in text
    assert '"when_enrolled" # as agreed\n' in text
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    former = tomllib.loads(FILE.format(key=FORMER))
    assert {**tomllib.loads(text), "secret_key": FORMER} == former
    assert sorted(each.name for each in tmp_path.glob("*toml*")) == ["authhost.toml", "link.toml"]


def test_a_phase_that_is_not_possible_is_refused_with_a_remedy(site):
    site.seal()
    assert "--phase distribute" in site.run("rotate", "secret_key", "--phase", "activate", code=1).output
    assert "no former key" in site.run("rotate", "secret_key", "--phase", "remove", code=1).output
    assert (
        "the phases of secret_key are" in site.run("rotate", "secret_key", "--phase", "close", code=1).output
    )
    site.rotate("secret_key")
    assert "not active yet" in site.run("rotate", "secret_key", "--phase", "distribute", code=1).output
    site.rotate("secret_key")
    before = site.file.read_text()
    refused = site.run("rotate", "secret_key", "--phase", "remove", "--yes", code=1).output
    assert "1 values need a former key" in refused
    assert "--phase re-encrypt" in refused
    assert site.file.read_text() == before


def test_a_key_is_not_removed_while_a_plugin_with_tables_is_not_loaded(site, monkeypatch):
    site.seal()
    site.rotate("secret_key")
    site.rotate("secret_key")
    monkeypatch.setenv("AUTHHOST_PLUGINS", "")
    result = site.run("rotate", "secret_key", "--yes", code=1)
    assert "the plugin mfa is not loaded" in result.output
    assert "not counted" in site.run("list").stderr


def test_a_plugin_that_was_uninstalled_still_needs_the_key_of_its_tables(site, monkeypatch):
    site.seal()
    site.rotate("secret_key")
    site.rotate("secret_key")
    before = site.file.read_text()
    monkeypatch.setattr(discovery, "installed", dict)
    monkeypatch.setenv("AUTHHOST_PLUGINS", "")
    refused = site.run("rotate", "secret_key", "--yes", code=1).output
    assert "the plugin mfa is not loaded" in refused
    assert "authhost_mfa_version" in refused
    assert site.file.read_text() == before


def test_each_phase_after_the_first_asks(site):
    site.rotate("secret_key")
    before = site.file.read_text()
    assert "--yes" in site.run("rotate", "secret_key", code=2).output
    assert site.file.read_text() == before


def test_a_key_in_the_environment_is_printed_and_never_written(site, monkeypatch):
    before = site.file.read_text()
    monkeypatch.setenv("AUTHHOST_SECRET_KEY", OTHER)
    for name in ("secret_key", "encryption_keys"):
        refused = site.run("rotate", name, code=1).output
        assert "AUTHHOST_SECRET_KEY is set in the environment" in refused
        assert "--print" in refused
    result = site.run("rotate", "secret_key", "--print")
    line = result.stdout.strip()
    assert line.startswith(f"AUTHHOST_SECRET_KEY={OTHER},20")
    assert "next: restart all processes" in result.stderr
    assert site.file.read_text() == before
    monkeypatch.setenv("AUTHHOST_SECRET_KEY", line.partition("=")[2])
    result = site.run("rotate", "secret_key", "--print")
    assert result.stdout.strip().endswith(f",{OTHER}")


def test_a_variable_of_a_plugin_with_small_letters_is_found(site, monkeypatch):
    monkeypatch.setenv("AUTHHOST_PLUGINS", "audit")
    monkeypatch.setenv("AUTHHOST_PLUGINS__audit__signing_key", new_key()[0])
    with AuthHost(Settings.load(site.file), upgrade_database=True):
        pass
    site.rotate("audit.signing_key")
    refused = site.run("rotate", "audit.signing_key", "--yes", code=1).output
    assert "AUTHHOST_PLUGINS__audit__signing_key is set in the environment" in refused


def test_print_shows_lines_of_the_file_and_changes_nothing(site):
    before = site.file.read_text()
    printed = tomllib.loads(site.run("rotate", "secret_key", "--print").stdout)
    assert printed["secret_key"][0] == FORMER
    (row,) = site.rows("rotate", "secret_key", "--print")
    assert row["settings"]["secret_key"][0] == FORMER
    assert site.file.read_text() == before


def test_a_key_with_a_comma_cannot_be_in_a_list_of_the_environment(site, monkeypatch):
    monkeypatch.setenv("AUTHHOST_SECRET_KEY", "one key, which has a comma in its middle, as a text may")
    assert "a key has a comma" in site.run("rotate", "secret_key", "--print", code=1).output


def test_without_a_file_there_is_a_remedy(site, monkeypatch, tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.setenv("AUTHHOST_DATABASE_URL", site.settings().database_url)
    monkeypatch.setenv("AUTHHOST_SECRET_KEY", FORMER)
    monkeypatch.setenv("AUTHHOST_EMAIL_VERIFICATION", "none")
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(cli, ["keys", "rotate", "secret_key", "--yes"])
    assert (result.exit_code, "--print" in result.output) == (1, True)


def test_an_unknown_name_gets_a_suggestion(site):
    assert "Did you mean 'secret_key'?" in site.run("rotate", "secret-key", code=2).output
    assert "encryption_keys" in site.run("rotate", "x", code=2).output


def test_values_whose_key_is_missing_are_listed(site):
    site.seal()
    site.file.write_text(FILE.format(key=OTHER))
    missing = site.rows("list")[1]
    assert (missing["status"], missing["values"], missing["fingerprint"]) == ("missing", 1, "")
    assert "authhost_mfa_authenticator.secret" in missing["to_do"]
    result = site.run("rotate", "secret_key", "--phase", "re-encrypt", code=1)
    assert "1 values need a key that is not listed" in result.stderr


def test_a_file_that_somebody_is_changing_or_that_cannot_be_replaced_stays(site, tmp_path):
    before = site.file.read_text()
    lock = tmp_path / ".authhost.toml.new"
    lock.write_text("")
    assert "another command is changing" in site.run("rotate", "secret_key", code=2).output
    assert site.file.read_text() == before


def test_a_change_that_was_computed_from_a_former_file_is_refused(site, monkeypatch):
    """Otherwise the end of a change would remove the key that another change has made active meanwhile."""
    site.rotate("secret_key")
    site.rotate("secret_key")

    def confirm(terminal, question, *, yes):
        if not yes:
            site.rotate("secret_key", "--phase", "distribute")
            site.rotate("secret_key", "--phase", "activate")

    monkeypatch.setattr(Terminal, "confirm", confirm)
    refused = site.run("rotate", "secret_key", "--phase", "remove", code=2).output
    assert "was changed while this command ran" in refused
    assert len(tomllib.loads(site.file.read_text())["secret_key"]) == 3


def test_the_end_of_a_command_does_not_end_the_lock_of_the_next(site, monkeypatch, tmp_path):
    lock, replace = tmp_path / ".authhost.toml.new", os.replace

    def replace_and_go_on(source, target):
        replace(source, target)
        lock.write_text("of the next command")

    monkeypatch.setattr(os, "replace", replace_and_go_on)
    site.rotate("secret_key")
    assert lock.read_text() == "of the next command"


def test_the_former_command_encrypts_again(site):
    site.seal()
    site.rotate("secret_key")
    site.rotate("secret_key")
    result = CliRunner().invoke(cli, ["--config", str(site.file), "providers", "rotate"])
    assert result.exit_code == 0
    assert result.output.startswith("1 values were encrypted with the first key\n")
