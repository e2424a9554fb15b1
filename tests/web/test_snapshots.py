"""The value of every page, compared with a file: a change of a page is seen in its diff.

``AUTHHOST_UPDATE_SNAPSHOTS=1 pytest tests/web/test_snapshots.py`` writes the file anew.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from authhost_hookspecs import Actor

from authhost.testing import OTHER_PASSWORD, PASSWORD
from authhost.testing.openid import PROVIDER_ID, TIMEOUT, LocalProvider
from authhost.testing.web_client import WebClient
from authhost.web.pages import PAGES

FILE = Path(__file__).parent / "snapshots.json"
ANN, BOB, ADMIN = "ann@example.org", "bob@example.org", "admin@example.org"
VOLATILE = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"(?<=\")[0-9a-f]{16}(?=\")"), "LINK"),
    (re.compile(r"[A-Z][a-z]{2} \d+, \d{4}, \d+:\d\d:\d\d\s[AP]M UTC"), "TIME"),
)


@pytest.fixture(scope="module")
def provider():
    with LocalProvider().start() as running:
        running.set_user("bob", email=BOB, email_verified=True, name="Bob Barker")
        running.set_user("nameless")
        yield running


def stable(page):
    text = json.dumps(page, ensure_ascii=False)
    for pattern, name in VOLATILE:
        text = pattern.sub(name, text)
    return without_defaults(json.loads(text))


def without_defaults(value):
    """Leave out what is empty, so that the file shows what a page says."""
    if isinstance(value, dict):
        shown = {name: without_defaults(each) for name, each in value.items()}
        return {name: each for name, each in shown.items() if each not in ("", [], False, None)}
    return [without_defaults(each) for each in value] if isinstance(value, list) else value


def go_to_provider(client, sub, process="login"):
    url = client.post("/social/begin", provider=PROVIDER_ID, process=process).headers["Refresh"]
    form = {"sub": sub}
    answer = requests.post(url.partition("url=")[2], data=form, allow_redirects=False, timeout=TIMEOUT)
    query = urlsplit(answer.headers["Location"]).query
    assert dict(parse_qsl(query))["code"]
    return client.send("GET", f"/account/social/{PROVIDER_ID}/callback?{query}", headers={"Origin": None})


def collect(web, mailbox, clock):
    """Visit every page in every state."""
    found = {}
    visitor, ann, bob, nameless, admin = (WebClient(web) for _ in range(5))

    def keep(client, path, state, query=""):
        found[f"{path} ({state})"] = stable(client.page(path + query))

    for path in ("/login", "/signup", "/logout", "/confirm-email", "/forgot-password", "/reset-password"):
        keep(visitor, path, "visitor")
    keep(visitor, "/social/signup", "visitor")
    ann.post("/signup", email=ANN, password=PASSWORD)
    keep(ann, "/confirm-email", "waiting")
    ann.get(f"/confirm-email/{mailbox.key()}")
    keep(ann, "/confirm-email", "link, same browser")
    visitor.get(f"/confirm-email/{mailbox.key()}")
    keep(visitor, "/confirm-email", "link, another browser")
    ann.post("/confirm-email")
    for path in ("/", "/emails", "/password", "/sessions", "/connections", "/close"):
        keep(ann, path, "user")
    ann.post("/emails/add", email="ann@work.example.org")
    keep(ann, "/emails", "two addresses")
    WebClient(web).post("/login", identifier=ANN, password=PASSWORD)
    keep(ann, "/sessions", "two sessions")
    visitor.post("/forgot-password", email=ANN)
    keep(visitor, "/forgot-password", "sent")
    visitor.get(f"/reset-password/{mailbox.key()}")
    keep(visitor, "/reset-password", "link")
    go_to_provider(bob, "bob")
    for path in ("/", "/password", "/connections"):
        keep(bob, path, "user of a provider")
    go_to_provider(nameless, "nameless")
    keep(nameless, "/social/signup", "without an address")
    admin.post("/signup", email=ADMIN, password=PASSWORD)
    admin.get(f"/confirm-email/{mailbox.key()}")
    admin.post("/confirm-email")
    ids = {each.email: each.id for each in web.host.users.list()}
    keep(admin, "/", "administrator")
    keep(admin, "/admin", "administrator")
    keep(admin, "/admin", "administrator, search", "?query=bob&show=active")
    for path in ("/admin/create", "/admin/user", "/admin/delete"):
        keep(admin, path, "administrator", f"?id={ids[ANN]}")
    keep(admin, "/admin/user", "administrator, user of a provider", f"?id={ids[BOB]}")
    form = {"id": str(ids[BOB]), "until": "2100-01-01", "reason": "Sends spam."}
    admin.post("/admin/user/deactivate", **form)
    keep(admin, "/admin/user", "administrator, deactivated", f"?id={ids[BOB]}")
    admin.post("/admin/user/reactivate", id=str(ids[BOB]))
    bob.cookies.clear()
    go_to_provider(bob, "bob")
    keep(visitor, "/impersonation/begin", "visitor")
    users = web.host.users
    operator = Actor("operator", name="root")
    link = users.impersonation_link(users.get(ANN).id, actor=operator, reason="Ticket 4711")
    visitor.get(urlsplit(link).path)
    keep(visitor, "/impersonation/begin", "link")
    visitor.post("/impersonation/begin")
    keep(visitor, "/", "impersonating")
    keep(ann, "/sessions", "impersonated")
    clock.forward(seconds=600)
    keep(ann, "/reauthenticate", "user")
    keep(bob, "/reauthenticate", "user of a provider")
    return found


def test_every_page_is_as_it_was(open_site, mailbox, clock, provider):
    providers = {name: {**values, "name": "Example Corp"} for name, values in provider.settings.items()}
    settings = {"email_verification": "mandatory", "login_on_email_confirmation": True}
    web = open_site(providers=providers, administrators=[ADMIN], **settings)
    found = collect(web, mailbox, clock)
    if os.environ.get("AUTHHOST_UPDATE_SNAPSHOTS"):
        FILE.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert found == json.loads(FILE.read_text(encoding="utf-8"))
    assert {name.partition(" ")[0] for name in found} == set(PAGES)


def test_what_must_not_be_shown_is_not(open_site, mailbox, clock, provider):
    settings = {"email_verification": "mandatory", "login_on_email_confirmation": True}
    web = open_site(providers=provider.settings, administrators=[ADMIN], **settings)
    text = json.dumps(collect(web, mailbox, clock))
    assert PASSWORD not in text
    assert OTHER_PASSWORD not in text
    assert not any(message.key in text for message in mailbox.messages if message.key)
