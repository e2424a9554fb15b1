"""What the first use of `request.db` takes, the import of SQLAlchemy's ORM, is not a plugin's time."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PLUGIN = """
import json, sys

assert "sqlalchemy" not in sys.modules
import authhost
assert "sqlalchemy" not in sys.modules, "import authhost stays light"

from authhost_hookspecs import hookimpl
from sqlalchemy import text

from authhost import AuthHost, Settings

imported = {}


class Writes:
    @hookimpl
    def HOOK(self, request):
        imported["HOOK"] = "sqlalchemy.orm" in sys.modules
        assert request.db.execute(text("SELECT 1")).scalar_one() == 1


settings = Settings(secret_key="k" * 48, database_url=sys.argv[1], email_verification="none")
with AuthHost(settings, plugins={"writes": Writes()}, discover=False, upgrade_database=True) as host:
    with host.request() as request:
        host.account.signup(request, email="ann@example.org", password="green teapots sing at dawn")
    calls = {hook: each.calls for (name, hook), each in host.plugin_stats().items()}
print(json.dumps([imported, calls]))
"""


@pytest.mark.parametrize("hook", ["before_signup", "user_signed_up", "user_logged_in", "account_ready"])
def test_the_orm_is_imported_before_a_hook_is_timed(tmp_path, hook):
    """By what is imported when the hook begins: time would tell something else on each machine."""
    done = subprocess.run(
        [sys.executable, "-c", PLUGIN.replace("HOOK", hook), f"sqlite:///{tmp_path / 'site.sqlite3'}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    imported, calls = json.loads(done.stdout)
    assert calls == {hook: 1}
    assert imported == {hook: True}
