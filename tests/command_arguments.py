"""The commands of authhost and its plugins, each with correct arguments, for `test_all_commands`.

A new command needs one line in `COMMANDS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["reads", "changes", "inspects", "needs nothing"]


@dataclass(frozen=True)
class Command:
    """A command, and what is expected of it."""

    kind: Kind
    """What it does with the database.

    - ``reads``: works with one that may only be read; without one, or with a newer one, exits with 2.
    - ``changes``: exits with `read_only` if it may only be read.
    - ``inspects``: says what is wrong with it, with the exit code 0, 1 or 2.
    - ``needs nothing``: neither a database nor a configuration.
    """
    correct: str = ""
    """Correct arguments. `{user}`, `{session}`, `{connection}`, `{record}`, `{message}` and `{file}` are
    replaced by what the site of the tests has; `{file}` is a new file."""
    code: int = 0
    """The exit code with correct arguments."""
    read_only: int = 2
    """The exit code of `changes` if the database may only be read. 0: there is nothing to change."""
    until_interrupted: bool = False
    """With correct arguments it runs until Ctrl-C, and ends with 0 then."""
    slow: bool = False
    """Takes seconds: is run with correct arguments once."""


COMMANDS = {
    "analytics export": Command("reads", "--format csv --output {file}"),
    "analytics forget": Command("changes", "{user}"),
    "analytics html": Command("reads", "--output {file}"),
    "analytics prometheus": Command("reads", "--port 0", until_interrupted=True),
    "analytics report": Command("reads", "--by week"),
    "analytics roll-up": Command("changes"),
    "analytics textfile": Command("reads", "--output {file}.prom"),
    "audit export": Command("reads", "--user {user}"),
    "audit forget": Command("changes", "{user} --yes"),
    "audit forward": Command("changes", code=1, read_only=1),
    "audit new-key": Command("needs nothing"),
    "audit proof": Command("reads", "{record}"),
    "audit prune": Command("changes", read_only=0),
    "audit seal": Command("changes", read_only=0),
    "audit search": Command("reads", "--user {user} --event user_signed_up"),
    "audit show": Command("reads", "{record}"),
    "audit tail": Command("reads", "--count 5"),
    "audit top": Command("reads", "--by user"),
    "audit verify": Command("reads"),
    "check": Command("inspects"),
    "db clean": Command("changes"),
    "db current": Command("inspects"),
    "db history": Command("inspects"),
    "db upgrade": Command("inspects"),
    "email allow": Command("changes", "ann@example.org"),
    "email cancel": Command("changes", "{message}"),
    "email clean": Command("changes"),
    "email deliver": Command("changes"),
    "email doctor": Command("inspects"),
    "email outbox": Command("reads"),
    "email preview": Command("needs nothing", "welcome"),
    "email retry": Command("changes", "{message}"),
    "email send-test": Command("changes", "ann@example.org", read_only=0),
    "email suppress": Command("changes", "ann@example.org"),
    "email suppressed": Command("reads"),
    "email worker": Command("changes", until_interrupted=True),
    "hooks": Command("needs nothing", "user_logged_in"),
    "init": Command("needs nothing", "--path {file}"),
    "keys list": Command("inspects"),
    "keys rotate": Command("changes", "encryption_keys --phase re-encrypt --yes", read_only=0),
    "maintain": Command("changes", "--only email", read_only=1),
    "metrics": Command("reads"),
    "mfa list": Command("reads", "ann@example.org"),
    "mfa reset": Command("changes", "ann@example.org --reason lost --yes"),
    "mfa stats": Command("reads"),
    "plugins block": Command("changes", "analytics --reason slow"),
    "plugins check": Command("needs nothing", "breached_passwords", slow=True),
    "plugins list": Command("needs nothing"),
    "plugins new": Command("needs nothing", "doorbell"),
    "plugins show": Command("needs nothing", "audit"),
    "plugins time": Command("needs nothing", "--rounds 1", slow=True),
    "plugins unblock": Command("changes", "doorbell"),
    "plugins why": Command("needs nothing", "user_logged_in"),
    "providers check": Command("inspects", "local", code=1),
    "providers list": Command("needs nothing", "--all"),
    "serve": Command("inspects", "--port 0", until_interrupted=True),
    "status": Command("inspects"),
    "tour": Command("needs nothing", slow=True),
    "users create": Command("changes", "bob@example.org"),
    "users deactivate": Command("changes", "ann --until 7d --yes"),
    "users delete": Command("changes", "ann --yes"),
    "users disconnect": Command("changes", "ann {connection} --yes"),
    "users end-sessions": Command("changes", "ann {session} --yes"),
    "users export": Command("reads", "ann"),
    "users find": Command("reads", "ann"),
    "users impersonate": Command("changes", "ann --reason ticket"),
    "users invite": Command("changes", "bob@example.org"),
    "users list": Command("reads"),
    "users reactivate": Command("changes", "eve"),
    "users remove-factors": Command("changes", "ann --reason lost --yes"),
    "users require-reset": Command("changes", "ann --yes"),
    "users send-reset": Command("changes", "ann"),
    "users sessions": Command("reads", "ann"),
    "users show": Command("reads", "ann"),
    "users stats": Command("reads"),
    "users verify": Command("changes", "eve"),
}
"""By name."""

WITHOUT_JSON = {
    "audit export": "writes JSON lines already, or what --format names",
    "audit proof": "prints JSON already",
    "users export": "prints JSON already",
    "serve": "prints no data",
}
"""Commands without ``--json``, and why."""
