"""``nox`` runs what must be green, ``nox -t all`` the full matrix; ``nox -l`` lists the sessions."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tarfile
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

import nox
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

sys.path.append(str(Path(__file__).parent / "tests"))
from compat.tools import tool, uv_settings

# uv makes an environment in seconds. Where it is missing, venv and pip make it.
nox.options.default_venv_backend = "uv|venv"
os.environ.update(uv_settings())
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the tests start hundreds of processes of the same code
nox.options.sessions = [
    "lint",
    "typing",
    "tests",
    "versions",
    "databases",
    "parity",
    "builds",
    "plugin_compat_pairs",
    "browser",
    "docs",
]

PLUGINS = ("audit", "email", "analytics", "breached_passwords", "mfa")
DISTRIBUTIONS = ["./hookspecs", ".", *(f"./plugins/{name}" for name in PLUGINS)]
SAMPLES = {
    "doorbook": "doorbook.py",
    "allow_list": "authhost_allow_list.py",
    "geo_velocity": "authhost_geo_velocity",
    "managed_accounts": "authhost_managed_accounts",
    "new_device": "authhost_new_device",
    "newsletter": "authhost_newsletter",
    "pin": "authhost_pin",
    "terms": "authhost_terms",
    "webhook": "authhost_webhook",
}
"""Plugins by others, below tests/third_party, and what each ships."""
WEB_TOOLS = [
    "Werkzeug>=3.1.4",
    "Jinja2>=3.1.6",
    "Babel>=2.16",
    "anyio>=4.5",
    "fastapi>=0.121",
    "flask>=3",
]
"""The libraries of authhost[web], and the frameworks that it has modules for."""
TEST_TOOLS = [
    "pip",
    "pytest>=8",
    "pytest-xdist>=3",
    "hypothesis>=6",
    "aiosmtpd>=1.4.6",
    "hatchling>=1.27",
    "bcrypt>=4,<5",
    "redis>=5",
    "prometheus-client>=0.20",
    "opentelemetry-sdk>=1.27",
    "oidc-provider-mock>=0.3.4",
    "html5lib>=1.1",
    "httpx2>=2",
    "litestar>=2.12",
    "waitress>=3.0.1",
    "gunicorn>=23",
    "uvicorn>=0.34",
    "jsonschema>=4.23",
    "openapi-spec-validator>=0.7",
    "schemathesis>=4",
    "cbor2>=5.6.5",
    "webauthn>=2.7",
    *WEB_TOOLS,
]
BROWSER_TOOLS = [
    "pytest>=8",
    "pytest-xdist>=3",
    "aiosmtpd>=1.4.6",
    "oidc-provider-mock>=0.3.4",
    "uvicorn>=0.34",
    "playwright>=1.50",
    *WEB_TOOLS,
]
"""What the tests in the browser need."""
NOT_HERE = ("--ignore=tests/parity", "--ignore=tests/browser")
"""The tests that have sessions of their own."""
PYTHONS = ["3.11", "3.12", "3.13"]
VERSION_DEPENDENT = [
    f"tests/test_{name}.py"
    for name in (
        "catalogue",
        "devices",
        "examples",
        "guard",
        "host",
        "hook_examples",
        "inputs",
        "kit",
        "loading",
        "misuse",
        "order",
        "passwords",
        "secrets",
        "usernames",
    )
]
"""What uses modules of the standard library that change: imports, signatures, Unicode, sockets, threads."""
SERVERS = {
    "postgresql": (
        "AUTHHOST_POSTGRESQL_URL",
        "postgresql+psycopg://postgres@127.0.0.1:5432/test",
        5432,
        "psycopg[binary]",
    ),
    # Without ssl_disabled PyMySQL reads all certificate authorities for each connection, which takes 20 ms.
    "mariadb": (
        "AUTHHOST_MARIADB_URL",
        "mariadb+pymysql://root@127.0.0.1:3306/test?ssl_disabled=true",
        3306,
        "PyMySQL",
    ),
}
GUNICORN, UVICORN, ARGON2 = "gunicorn>=23", "uvicorn[standard]>=0.34", "argon2-cffi>=23.1"
"""The servers of the group ``http``, and its real hash, for authhost and for its peers."""
PEERS = {
    "allauth": ["django>=5.2,<6", "django-allauth[headless]>=65.21,<66", GUNICORN, ARGON2],
    "flask-security": ["Flask-Security[common,fsqla]>=5.6", "Flask-Mail", GUNICORN, ARGON2],
    "fastapi-users": ["fastapi-users[sqlalchemy]>=14", "aiosqlite", "httpx", UVICORN, ARGON2],
}
"""What each is installed with, beside the driver of PostgreSQL, in an environment of its own."""
WITH_PEERS = {"round_trips", "flows", "http"}
"""The groups of benchmarks that measure the peers, too; the others need no environments of theirs."""
GROUPS = nox.project.load_toml("pyproject.toml")
MERMAID = "11.12.1"
AXE = "4.11.0"


@nox.session(tags=["all"])
def lint(session: nox.Session) -> None:
    """Style of all code, and which module may import which (`tool.importlinter` in pyproject.toml)."""
    session.install("ruff>=0.12", "import-linter>=2.17", *DISTRIBUTIONS)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-logo")


@nox.session(tags=["all"])
def typing(session: nox.Session) -> None:
    """Strict types of all that ships and of the cookbook, whose code is linted here, too."""
    tools = ("mypy>=1.17", "ruff>=0.12", "pytest>=8", "opentelemetry-api>=1.27")
    session.install(*tools, *WEB_TOOLS, *DISTRIBUTIONS)
    packages = [f"plugins/{name}/authhost_{name}" for name in PLUGINS]
    typed = ["contract_types", "typing_fastapi", "typing_starlette", "typing_flask"]
    files = [f"tests/{name}.py" for name in typed]
    session.run("mypy", "authhost", "hookspecs/authhost_hookspecs", *packages, *files)
    session.run("pytest", "-q", "tests/cookbook/test_recipes.py", "-k", "typed or linted")


@nox.session(tags=["all"])
def tests(session: nox.Session) -> None:
    """All tests, on SQLite and on the version of Python that nox runs on."""
    session.install(*DISTRIBUTIONS, *TEST_TOOLS)
    session.run("pytest", "-n", "auto", *NOT_HERE, *session.posargs)


@nox.session(python=PYTHONS)
def versions(session: nox.Session) -> None:
    """Those tests that depend on the version of Python, on the other versions."""
    _skip_own_version(session)
    session.install(*DISTRIBUTIONS, *TEST_TOOLS)
    session.run("pytest", "-n", "auto", "-m", "not long", *VERSION_DEPENDENT, *session.posargs)


@nox.session(python=PYTHONS, tags=["all"])
def tests_everywhere(session: nox.Session) -> None:
    """All tests but the long ones, on the other versions of Python."""
    _skip_own_version(session)
    session.install(*DISTRIBUTIONS, *TEST_TOOLS)
    session.run("pytest", "-n", "auto", *NOT_HERE, "-m", "not long", *session.posargs)


def _skip_own_version(session: nox.Session) -> None:
    if session.python == f"{sys.version_info.major}.{sys.version_info.minor}":
        session.skip(f"the session tests runs all tests on Python {session.python}")


@nox.session(python="3.11", tags=["all"])
def lowest(session: nox.Session) -> None:
    """The tests with exactly the lower bounds of all that the distributions depend on."""
    constraints = Path(session.create_tmp()) / "lowest.txt"
    constraints.write_text("\n".join(lower_bounds(DISTRIBUTIONS)) + "\n")
    extras = ".[postgresql,mariadb,redis,bcrypt,testing]"
    session.install(extras, *DISTRIBUTIONS, *TEST_TOOLS, "-c", str(constraints))
    session.run("pytest", "-n", "auto", *NOT_HERE, "-m", "not long", *session.posargs)


def lower_bounds(folders: Iterable[str]) -> list[str]:
    """The lower bound of each dependency and extra as ``name==version``, the highest of several.

    Raises `ValueError` for a dependency without one.
    """
    bounds: dict[str, Version] = {}
    for folder in folders:
        project = nox.project.load_toml(str(Path(folder, "pyproject.toml")))["project"]
        extras = project.get("optional-dependencies", {}).values()
        for line in chain(project.get("dependencies", ()), *extras):
            requirement = Requirement(line)
            name = canonicalize_name(requirement.name)
            if name.startswith("authhost"):
                continue
            lower = [Version(each.version) for each in requirement.specifier if each.operator == ">="]
            if not lower:
                raise ValueError(f"{folder}: {line} has no lower bound")
            bounds[name] = max(bounds.get(name, lower[0]), *lower)
    return [f"{name}=={version}" for name, version in sorted(bounds.items())]


@nox.session
@nox.parametrize("server", sorted(SERVERS))
def databases(session: nox.Session, server: str) -> None:
    """Those tests that depend on the database, on a server. Databases beside its own are made and emptied."""
    _on_server(session, server, "-m", "not long")


@nox.session(tags=["all"])
@nox.parametrize("server", sorted(SERVERS))
def databases_everywhere(session: nox.Session, server: str) -> None:
    """All tests that touch a database, on a server; the long ones on PostgreSQL alone."""
    chosen = ["-m", "not long"] if server == "mariadb" else []
    _on_server(session, server, *chosen, env={"AUTHHOST_TEST_EVERYWHERE": "1"})


def _on_server(
    session: nox.Session, server: str, *options: str, env: Mapping[str, str] | None = None
) -> None:
    variable, default, port, driver = SERVERS[server]
    url = os.environ.get(variable)
    if url is None:
        if not _answers(port):
            session.skip(f"SKIPPED: no {server} at 127.0.0.1:{port}; set {variable} to run this")
        url = default
    session.install(*DISTRIBUTIONS, *TEST_TOOLS, driver)
    chosen = {"AUTHHOST_TEST_DATABASE_URL": url, **(env or {})}
    session.run("pytest", "-n", "auto", *NOT_HERE, *options, *session.posargs, env=chosen)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@nox.session(tags=["all"])
def parity(session: nox.Session) -> None:
    """The same scenarios through django-allauth and through authhost."""
    session.install(*DISTRIBUTIONS, *TEST_TOOLS, "django>=5.2,<6", "django-allauth[mfa]>=65.21,<66")
    session.run("pytest", "-n", "auto", "tests/parity", *session.posargs)


@nox.session(tags=["all"])
def browser(session: nox.Session) -> None:
    """Whole scenarios and accessibility in Debian's Chromium."""
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        session.skip("SKIPPED: there is no chromium; `apt-get install chromium` brings it")
    session.install(*DISTRIBUTIONS, *BROWSER_TOOLS)
    axe = _fetch_axe(session)
    session.run("pytest", "-n", "auto", "tests/browser", *session.posargs, env={"AUTHHOST_AXE": axe})


def _fetch_axe(session: nox.Session) -> str:
    """Return the path of axe-core, which checks accessibility; empty if there is no npm."""
    home = Path(session.create_tmp())
    script = home / "package" / "axe.min.js"
    if not script.exists():
        if shutil.which("npm") is None:
            session.warn("SKIPPED: there is no npm, which fetches axe-core: accessibility is not checked")
            return ""
        npm = ["npm", "pack", "--silent", f"axe-core@{AXE}", "--pack-destination", str(home)]
        session.run(*npm, external=True, silent=True, success_codes=range(256))
        package_file = home / f"axe-core-{AXE}.tgz"
        if not package_file.exists():
            session.warn("SKIPPED: npm has no axe-core: accessibility is not checked")
            return ""
        with tarfile.open(package_file) as package:
            package.extract("package/axe.min.js", home, filter="data")
    return str(script.absolute())


@nox.session(tags=["all"], venv_backend="none")
def builds(session: nox.Session) -> None:
    """Each distribution as a wheel; the contract by itself, and the host without any plugin."""
    maker, here = tool(), Path(session.create_tmp())

    def run(*command: str) -> None:
        session.run(*command, external=True, env=dict(maker.environ))

    def install(name: str, *requirements: str) -> Path:
        """Make an environment, and return its Python."""
        home = here / name
        shutil.rmtree(home, ignore_errors=True)
        run(*maker.create(sys.executable, home))
        python = home / "bin" / "python"
        run(*maker.install(python, list(requirements)))
        return python

    made = {}
    shutil.rmtree(here / "wheels", ignore_errors=True)
    for folder in DISTRIBUTIONS:
        run(*maker.wheel(Path(folder), here / "wheels"))
    for wheel in (here / "wheels").glob("*.whl"):
        made[wheel.name.split("-")[0]] = str(wheel)
    contract = "authhost_hookspecs"
    for name, needs in (
        (contract, ["mypy>=1.17", "pyright>=1.1.400"]),
        ("authhost", [made[contract]]),
        *((f"authhost_{plugin}", [made[contract]]) for plugin in PLUGINS),
    ):
        python = install(name, *needs, made[name])
        run(str(python), "-I", "-c", f"import {name}")  # the installed one
        if name == contract:
            _type_check_contract(session, python)
    # A plugin type-checks against the contract and what it depends on: there is no authhost.
    projects = {name: f"tests/third_party/{name}" for name in SAMPLES}
    installed = (f"./{project}" for project in projects.values())
    python = install("samples", "mypy>=1.17", made[contract], *installed)
    sources = [f"{project}/{SAMPLES[name]}" for name, project in projects.items()]
    run(str(python), "-m", "mypy", "--strict", "--config-file=", *sources)


def _type_check_contract(session: nox.Session, python: Path) -> None:
    """Check the contract by mypy and pyright in its own environment, where there is no authhost."""
    package = "hookspecs/authhost_hookspecs"
    session.run(str(python), "-m", "mypy", "--strict", "--config-file=", package, external=True)
    if shutil.which("node") is None:
        session.warn("SKIPPED: there is no node, which pyright needs")
        return
    pyright = [str(python.with_name("pyright")), "--project", "hookspecs", "--pythonpath", str(python)]
    session.run(*pyright, external=True)


@nox.session(tags=["all"])
def plugin_compat(session: nox.Session) -> None:
    """Every plugin on every combination of versions; `nox -s plugin_compat -- --help` has filters."""
    _compat(session)


@nox.session
def plugin_compat_pairs(session: nox.Session) -> None:
    """One plugin of ours and one by others, on so many of them that each two versions meet in one."""
    only = [] if session.posargs else ["--only", "audit", "--only", "doorbook"]
    _compat(session, "--pairs", *only)


def _compat(session: nox.Session, *options: str) -> None:
    session.install("packaging>=24", "pip")  # pip names the newest releases
    session.install("uv", success_codes=range(256))  # Without it there are venv and pip.
    home = ["--home", session.create_tmp()]
    session.run("python", "-m", "compat", *home, *options, *session.posargs, env={"PYTHONPATH": "tests"})


@nox.session
def bench(session: nox.Session) -> None:
    """Benchmarks, also against peers: tables, and bench.json. `nox -s bench -- --help` lists the groups.

    PostgreSQL is measured where AUTHHOST_POSTGRESQL_URL names a server or the local one answers.
    """
    _, _, _, driver = SERVERS["postgresql"]
    session.install(*DISTRIBUTIONS, driver, *WEB_TOOLS, GUNICORN, UVICORN)
    arguments = ["--json", "bench.json"]
    given = set(session.posargs)
    if WITH_PEERS & given or not {"--only", "--help", "-h"} & given:
        for name, needs in PEERS.items():
            home = Path(session.create_tmp()) / name
            session.run("python", "-m", "venv", str(home))
            python = str(home / "bin" / "python")
            session.run(python, "-m", "pip", "install", "-q", *needs, driver, external=True)
            arguments += ["--peer", f"{name}={python}"]
    session.run("python", "tests/benchmarks/run.py", *arguments, *session.posargs)


@nox.session(tags=["all"])
def docs(session: nox.Session) -> None:
    """The documentation as a site, where a warning is an error."""
    session.install(*nox.project.dependency_groups(GROUPS, "docs"))
    _fetch_mermaid(session)
    site = "docs/_build/html"
    shutil.rmtree("docs/_build", ignore_errors=True)
    session.run("sphinx-build", "--fail-on-warning", "--keep-going", "--quiet", "docs", site)
    session.log(f"look at it: python -m http.server --directory {site}")


def _fetch_mermaid(session: nox.Session) -> None:
    """What draws the diagrams goes into the site, where there is npm; else a CDN serves it to readers."""
    home = Path("docs/_vendor")
    if (home / f"mermaid-{MERMAID}").exists():
        return
    if shutil.which("npm") is None:
        session.warn("SKIPPED: there is no npm, so readers' browsers ask a CDN for what draws the diagrams")
        return
    shutil.rmtree(home, ignore_errors=True)
    fetched = Path(session.create_tmp())
    package_file = fetched / f"mermaid-{MERMAID}.tgz"
    npm = ["npm", "pack", "--silent", f"mermaid@{MERMAID}", "--pack-destination", str(fetched)]
    session.run(*npm, external=True, silent=True, success_codes=range(256))
    if not package_file.exists():
        session.warn("SKIPPED: no npm package of mermaid; readers' browsers ask a CDN for it")
        return
    with tarfile.open(package_file) as package:
        for member in package:
            name = member.name.removeprefix("package/dist/")
            if name == "mermaid.esm.min.mjs" or (
                name.startswith("chunks/mermaid.esm.min/") and name.endswith(".mjs")
            ):
                member.name = name
                package.extract(member, home / "mermaid", filter="data")
    (home / f"mermaid-{MERMAID}").touch()
