"""A plugin that knows the contract alone, built as a wheel and installed; and one that always fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from authhost_hookspecs import hookimpl
from conftest import OTHER_PASSWORD, PASSWORD
from sqlalchemy import Column, Integer, MetaData, String, Table, select

from authhost.pluginhost.hooks import NOTIFICATIONS, SPEC_ARGUMENTS

ANN, BOB, SECOND, THIRD = "ann@example.org", "bob@example.org", "ann@work.example.org", "ann@home.example.org"

LIFE = """
import sys
from authhost import AuthHost, Settings
from authhost_hookspecs import hookimpl
from sqlalchemy import update
from authhost.store.models import User

class Mailer:
    @hookimpl
    def deliver_message(self, message):
        self.key = message.key
        return True

mailer = Mailer()
settings = Settings(secret_key="k" * 48, database_url=sys.argv[1], plugins=("doorbook", "mailer"),
                    rate_limits=False, required_plugins=("doorbook",))
with AuthHost(settings, plugins={"mailer": mailer}, upgrade_database=True) as host:
    token = None
    def flow(name, **values):
        global token
        with host.request(session_token=token) as request:
            result = getattr(host.account, name)(request, **values)
        token = getattr(result, "session_token", token)
    ann, second, third = "ann@example.org", "ann@work.example.org", "ann@home.example.org"
    one, two = "green teapots sing at dawn", "seven quiet harbours in may"
    flow("signup", email=ann, password=one)
    flow("confirm_email", key=mailer.key)
    flow("add_email", email=second)
    flow("confirm_email", key=mailer.key)
    flow("make_primary", email=second)
    flow("remove_email", email=ann)
    flow("change_password", current_password=one, new_password=two)
    flow("request_password_reset", email=second)
    flow("reset_password", key=mailer.key, password=one)
    flow("login", identifier=second, password=one)
    with host.engine.begin() as connection:
        connection.execute(update(User).values(password=None))
    flow("set_password", password=two)
    flow("logout")
"""
EXPECTED = [
    {"signal": "user_signed_up", "user": ANN},
    {"signal": "email_confirmation_sent", "confirmation": ANN, "signup": True},
    {"signal": "user_logged_in", "user": ANN},
    {"signal": "email_confirmed", "email_address": ANN},
    {"signal": "email_confirmation_sent", "confirmation": SECOND, "signup": False},
    {"signal": "email_added", "user": ANN, "email_address": SECOND},
    {"signal": "email_confirmed", "email_address": SECOND},
    {"signal": "email_changed", "user": SECOND, "from_email_address": ANN, "to_email_address": SECOND},
    {"signal": "email_removed", "user": SECOND, "email_address": ANN},
    {"signal": "password_changed", "user": SECOND},
    {"signal": "password_reset", "user": SECOND},
    {"signal": "user_logged_in", "user": SECOND},
    {"signal": "password_set", "user": SECOND},
    {"signal": "user_logged_out", "user": SECOND},
]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin's source copied away from here, built as a wheel, installed into a folder."""
    home = tmp_path_factory.mktemp("third-party")
    source = shutil.copytree(Path(__file__).parent / "third_party" / "doorbook", home / "source")
    wheels, site = home / "wheels", home / "site"
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(site)]
    subprocess.run([*install, *map(str, wheels.glob("*.whl"))], check=True, capture_output=True)
    return site


def test_an_installed_wheel_receives_each_signal_once(site: Path, database_url: str, tmp_path: Path) -> None:
    book = tmp_path / "book.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", LIFE, database_url],
        env={**os.environ, "PYTHONPATH": str(site), "DOORBOOK": str(book)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in book.read_text().splitlines()]
    requests = [line.pop("request") for line in lines]
    assert lines == EXPECTED
    # Three signals of the signup and two of adding an address share their unit of work.
    assert len(set(requests)) == len(requests) - 3


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("def user_logged_in", "def user_login", "did you mean 'user_logged_in'"),
        (
            "def password_reset(self, request: Request, user: User)",
            "def password_reset(self, request: Request, account: User)",
            "its arguments are (request, user)",
        ),
        (
            "def social_account_removed(self, request: Request, socialaccount:",
            "def social_account_removed(self, request: Request, social_account:",
            "did you mean 'socialaccount'",
        ),
    ],
)
def test_a_renamed_hook_or_argument_is_named(
    site: Path, tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    changed = shutil.copytree(site, tmp_path / "site")
    module = changed / "doorbook.py"
    source = module.read_text()
    assert old in source
    module.write_text(source.replace(old, new, 1))
    done = subprocess.run(
        [sys.executable, "-m", "authhost.cli", "plugins", "show", "doorbook", "--json"],
        env={**os.environ, "PYTHONPATH": str(changed)},
        capture_output=True,
        text=True,
        check=False,
    )
    record = json.loads(done.stdout)
    assert record["status"] == "refused"
    assert sentence in record["reason"]


notes = Table(
    "authhost_failing_note", MetaData(), Column("id", Integer, primary_key=True), Column("text", String(64))
)


class Failing:
    """Writes in both ways, then fails, in every hook that is guarded."""

    names: list[str]


def _fail(name: str):
    def call(self, request):
        self.names.append(name)
        request.insert(notes, {"text": name})
        request.db.execute(notes.insert().values(text=name))
        raise RuntimeError(name)

    call.__name__ = name
    return hookimpl(call)


for _name in NOTIFICATIONS:
    assert "request" in SPEC_ARGUMENTS[_name]
    setattr(Failing, _name, _fail(_name))


def life(host, run, recorder):
    """Every flow; what each returned, and what the recorder was told."""
    recorder.calls.clear()
    outcomes = []
    token = None

    def flow(name, **values):
        nonlocal token
        try:
            result = run(host, name, token, **values)
        except Exception as error:
            outcomes.append((name, type(error).__name__))
            return
        token = getattr(result, "session_token", token)
        outcomes.append((name, type(result).__name__))

    flow("signup", email=ANN, password=PASSWORD)
    flow("confirm_email", key=recorder.key())
    flow("confirm_email", key="wrong")
    flow("login", identifier=ANN, password="wrong")
    flow("login", identifier=ANN, password=PASSWORD)
    flow("add_email", email=SECOND)
    flow("send_confirmation", email=SECOND)
    flow("confirm_email", key=recorder.key())
    flow("make_primary", email=SECOND)
    flow("remove_email", email=ANN)
    flow("reauthenticate", password=PASSWORD)
    flow("change_password", current_password=PASSWORD, new_password=OTHER_PASSWORD)
    flow("request_password_reset", email=SECOND)
    flow("reset_password", key=recorder.key(), password=PASSWORD)
    flow("login", identifier=SECOND, password=PASSWORD)
    flow("end_other_sessions")
    flow("logout")
    flow("login", identifier=SECOND, password=PASSWORD)
    flow("deactivate")
    return outcomes, recorder.names


def test_one_that_fails_in_every_hook_changes_nothing(make_host, run, recorder):
    failing = Failing()
    failing.names = []
    host = make_host({"a-failing": failing}, email_verification="mandatory")
    notes.create(host.engine)
    with_failing = life(host, run, recorder)
    with host.engine.connect() as connection:
        assert connection.execute(select(notes)).all() == []
    record = next(each for each in host.registry.records if each.name == "a-failing")
    assert {name: stats.failures for name, stats in record.guarded.stats.items() if stats.calls} == {
        name: failing.names.count(name) for name in failing.names
    }
    assert set(failing.names) >= {"user_logged_in", "user_logged_out", "account_ready", "flow_refused"}

    from authhost.testing.database import drop_all_tables

    if host.engine.dialect.name == "sqlite":
        other = make_host(email_verification="mandatory", database_url=f"{host.settings.database_url}.other")
    else:
        host.close()
        drop_all_tables(host.settings.database_url)
        other = make_host(email_verification="mandatory")
    assert life(other, run, recorder) == with_failing


def test_plugins_are_found_beside_the_backport_of_importlib_metadata():
    """Once it is imported, it answers in place of the standard library, with classes of its own."""
    pytest.importorskip("importlib_metadata")
    code = (
        "import importlib_metadata\n"
        "from authhost.pluginhost.discovery import PluginRegistry\n"
        "from authhost import Settings\n"
        "found = PluginRegistry(Settings(secret_key='k' * 48), {})\n"
        "print({record.name: record.status for record in found.records})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "refused" not in done.stdout, done.stdout + done.stderr
    assert "'audit': 'loaded'" in done.stdout
