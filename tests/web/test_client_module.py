"""The module for browsers, run by node against a real server."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import threading
from importlib.resources import files
from pathlib import Path

import pytest

from authhost.testing import PASSWORD
from authhost.web.wsgi import WSGIApp

MODULE = files("authhost.web") / "static" / "client.js"
EXAMPLE = Path(__file__).parents[2] / "docs" / "how-to" / "single-page-application.md"
SCRIPT = """
import assert from "node:assert/strict";
import {{ AuthClient, AuthProblem }} from "{module}";

const auth = new AuthClient("{url}/account/api", {{ app: true }});
const refused = async (promise) => {{
  try {{ await promise; }} catch (error) {{ assert(error instanceof AuthProblem); return error; }}
  assert.fail("this must be refused");
}};
let problem = await refused(auth.session());
assert.deepEqual([problem.status, problem.code, problem.next[0].step], [401, "login_required", "login"]);
problem = await refused(auth.signup({{ email: "ann@example.org", password: "short" }}));
assert.deepEqual([problem.code, problem.field], ["weak_password", "password"]);
const signup = await auth.signup({{ email: "ann@example.org", password: "{password}" }});
assert.equal(signup.user.email, "ann@example.org");
assert(auth.token);
assert.equal((await auth.session()).authenticated, true);
assert.equal((await auth.emails())[0].primary, true);
assert.equal((await auth.sessions()).length, 1);
const stored = new AuthClient("{url}/account/api", {{ app: true, token: auth.token }});
assert.equal((await stored.session()).authenticated, true);
await auth.logout();
problem = await refused(stored.session());
assert.equal(problem.code, "login_required");
assert.equal(auth.token, "");
await auth.login({{ identifier: "ann@example.org", password: "{password}" }});
await auth.close();
assert.equal(auth.token, "");
console.log("done");
"""


def test_every_endpoint_of_users_has_a_method(web):
    text = MODULE.read_text(encoding="utf-8")
    called = set(re.findall(r'this\.(?:get|post)\("([^"]+)"', text))
    documented = {path.removeprefix("/account/api") for path in web.openapi["paths"]}
    assert called == {path for path in documented if not path.startswith("/admin")}
    assert len(text.splitlines()) < 150
    assert "import " not in re.sub(r"^//.*$", "", text, flags=re.MULTILINE)


def test_the_example_uses_only_what_there_is():
    methods = set(
        re.findall(r"^  (?:get )?(\w+)(?: = |\()", MODULE.read_text(encoding="utf-8"), re.MULTILINE)
    )
    called = set(re.findall(r"\bauth\.(\w+)", EXAMPLE.read_text(encoding="utf-8")))
    assert {"signup", "session", "changePendingEmail"} <= called <= methods


def test_the_script_of_the_example_is_valid(tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("SKIPPED: there is no node")
    text = EXAMPLE.read_text(encoding="utf-8").partition('title="app.js"\n')[2].partition("```")[0]
    (tmp_path / "app.mjs").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [node, "--check", tmp_path / "app.mjs"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_it_is_served(client):
    response = client.get("/static/client.js")
    assert response.status_code == 200
    assert response.mimetype in ("text/javascript", "application/javascript")


def test_a_program(web, tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("SKIPPED: there is no node")
    waitress = pytest.importorskip("waitress.server", reason="SKIPPED: there is no waitress")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = waitress.create_server(WSGIApp(web.host), sockets=[listener])
        threading.Thread(target=server.run, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        script = tmp_path / "program.mjs"
        module = tmp_path / "client.mjs"
        module.write_text(MODULE.read_text(encoding="utf-8"), encoding="utf-8")
        script.write_text(SCRIPT.format(module=module, url=url, password=PASSWORD), encoding="utf-8")
        done = subprocess.run([node, str(script)], capture_output=True, text=True, timeout=60, check=False)
        server.close()
    assert (done.stdout, done.stderr) == ("done\n", "")
