"""The pages say what the code does."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import authhost_hookspecs as contract
import pytest
from authhost_hookspecs import hookimpl
from conftest import CHEAP, PASSWORD

from authhost import AuthHost, Settings
from authhost.account import Account
from authhost.socialaccount import SocialAccounts

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def generator():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "name",
    [
        "../authhost/pluginhost/hook_order.json",
        "flows/sequences.md",
        "hooks.md",
        "providers.md",
        "settings.md",
        "refusals.md",
    ],
)
def test_generated_pages_are_current(name):
    if name.endswith("hook_order.json"):
        pytest.importorskip("oidc_provider_mock")
    written = generator().PAGES[name]()
    assert (DOCS / name).read_text(encoding="utf-8") == written, "run `python docs/generate.py`"


@pytest.mark.parametrize(
    "flow", [name for kind in (Account, SocialAccounts) for name in vars(kind) if not name.startswith("_")]
)
def test_every_flow_has_a_page(flow):
    pages = [page.read_text(encoding="utf-8") for page in (DOCS / "flows").glob("*.md")]
    assert any(re.search(rf"\b{flow}\b", page) for page in pages)


PAGES = sorted([*DOCS.glob("flows/*.md"), *DOCS.glob("how-to/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_run(page, tmp_path, request):
    """All Python of a page in one namespace, which has a host, a logged-in user and the mails sent.

    A page on social login has a provider, too, and somebody who agrees there.
    """
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    if not blocks:
        pytest.skip("has no example")
    sent = []

    class Mailbox:
        @hookimpl
        def deliver_message(self, message: contract.Message) -> bool:
            sent.append(message)
            return True

    names, providers = {}, {}
    if "agree(" in "".join(blocks):
        openid = request.getfixturevalue("openid")
        openid.person("bob", email="bob@example.org", email_verified=True)
        names = {"agree": lambda url: openid.agree(url, "bob"), "corp_url": openid.url}
        providers = {
            "corp": {
                "provider": "openid_connect",
                "server": openid.url,
                "client_id": "site",
                "client_secret": "of-the-site",
                "trust_emails": True,
            }
        }
    settings = Settings(
        providers=providers,
        store_social_tokens=True,
        secret_key="k" * 48,
        database_url=f"sqlite:///{tmp_path / 'docs.sqlite3'}",
        rate_limits=False,
        password_hash_options=CHEAP,
    )
    with AuthHost(settings, plugins={"mailbox": Mailbox()}, discover=False, upgrade_database=True) as host:
        names |= {"host": host, "sent": sent, "database_url": f"sqlite:///{tmp_path / 'other.sqlite3'}"}
        if page.stem != "signup":
            with host.request() as request:
                names["token"] = host.account.signup(
                    request, email="ann@example.org", password=PASSWORD
                ).session_token
                host.account.confirm_email(request, key=sent[-1].key)
        for block in blocks:
            exec(compile(block, str(page), "exec"), names)


def test_links_lead_somewhere():
    pages = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "hookspecs" / "README.md",
        *DOCS.rglob("*.md"),
    ]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_each_test_that_a_page_names_exists():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (DOCS / "security.md").read_text(encoding="utf-8"))
    assert len(named) > 30
    for file, name in named:
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{name}"


def test_each_check_is_on_the_authors_page():
    page = (DOCS / "how-to" / "plugin-author.md").read_text(encoding="utf-8")
    for row in generator().check_table().splitlines():
        assert row in page  # followed by the example of a fault


def test_the_modules_that_run_elsewhere_are_there():
    """A module that was renamed would be left out on servers and on other versions of Python."""
    from conftest import DEPENDS_ON_DATABASE

    there = {page.stem for page in Path(__file__).parent.rglob("test_*.py")}
    assert there >= DEPENDS_ON_DATABASE
    noxfile = (DOCS.parent / "noxfile.py").read_text(encoding="utf-8")
    named = re.search(r"VERSION_DEPENDENT = \[.*?\((.*?)\)", noxfile, re.DOTALL).group(1)
    assert there >= {f"test_{name}" for name in re.findall(r'"(\w+)"', named)}
