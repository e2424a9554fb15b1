"""The list of accounts: search, filters and pages."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from sqlalchemy import insert

from authhost.store.tables import addresses, users
from authhost.web.admin import user_list

from .office import ADMIN, ANN, OPERATOR, SETTINGS, Office, section, titles


@pytest.fixture
def office(make_host):
    return Office(make_host(**SETTINGS))


@pytest.fixture
def create(office):
    """Create an account: ``create("ann@example.org")``."""
    return lambda email, **values: office.host.users.create(email, actor=OPERATOR, **values)


@pytest.fixture
def few(monkeypatch):
    """Pages of three accounts."""
    monkeypatch.setattr(user_list, "LIMIT", 3)


def walk(office, path, label):
    """Follow a link from page to page; return the accounts of each."""
    pages = []
    while path:
        page = office.browser.page(path)
        pages.append(titles(page))
        links = {each["label"]: each["target"] for each in section(page, "Accounts")["links"]}
        path = links.get(label)
    return pages


def names(*numbers):
    return [f"u{number}@example.org" for number in numbers]


def test_the_newest_are_first_with_what_matters(office, create):
    user = create(ANN, username="ann")
    office.host.users.deactivate(user.id, actor=OPERATOR)
    first, admin = section(office.browser.page("/admin"), "Accounts")["rows"]
    assert (first["title"], first["target"]) == (ANN, f"/admin/user?id={user.id}")
    assert first["labels"] == ["Deactivated", "Not confirmed"]
    assert (first["details"][0], first["details"][-1]) == ("ann", "Never logged in")
    assert (admin["title"], admin["labels"]) == (ADMIN, [])


def test_pages_lead_to_older_and_newer_accounts(office, create, few):
    for number in range(7):
        create(f"u{number}@example.org")
    older = walk(office, "/admin", "Older accounts")
    assert older == [names(6, 5, 4), names(3, 2, 1), [*names(0), ADMIN]]
    last = section(office.browser.page("/admin"), "Accounts")["links"][-1]["target"]
    last = section(office.browser.page(last), "Accounts")["links"][-1]["target"]
    assert walk(office, last, "Newer accounts") == [[*names(0), ADMIN], names(3, 2, 1), names(6, 5, 4)]


def test_newer_accounts_than_the_newest_are_the_first_page(office, create):
    user = create(ANN)
    assert titles(office.browser.page(f"/admin?after={user.id}")) == [ANN, ADMIN]


def test_a_filter_stays_from_page_to_page(office, create, few):
    for number in range(8):
        user = create(f"u{number}@example.org", verified=number % 2 == 0)
        if number > 5:
            office.host.users.deactivate(user.id, actor=OPERATOR)
    shown = walk(office, "/admin?show=unverified", "Older accounts")
    assert shown == [names(7, 5, 3), names(1)]
    assert walk(office, "/admin?show=deactivated", "Older accounts") == [names(7, 6)]
    assert walk(office, "/admin?show=passwordless", "Older accounts")[0] == names(7, 6, 5)
    assert walk(office, "/admin?show=guarded", "Older accounts") == [[]]
    assert walk(office, "/admin?show=active", "Older accounts")[-1] == [*names(2, 1, 0), ADMIN][-1:]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("ann", [ANN]),
        ("ANN@EXAMPLE", [ANN]),
        (" ann@example.org ", [ANN]),
        ("bobby", ["bob@example.org"]),
        ("ann@work", [ANN]),
        ("nn@", []),
        ("%", []),
        ("_nn", []),
        ("'; DROP TABLE authhost_user; --", []),
    ],
)
def test_a_search_finds_beginnings(office, create, query, expected):
    user = create(ANN)
    office.host.users.add_email(user.id, "ann@work.example", actor=OPERATOR)
    create("bob@example.org", username="bobby")
    page = office.browser.page(f"/admin?{urlencode({'query': query})}")
    assert titles(page) == expected
    field = section(page, "Search")["forms"][0]["fields"][0]
    assert field["value"] == query


def test_a_search_with_a_filter_and_by_identifier(office, create):
    user, _ = create(ANN), create("anna@example.org", verified=True)
    assert titles(office.browser.page("/admin?query=ann&show=verified")) == ["anna@example.org"]
    assert titles(office.browser.page("/admin?query=ann&show=deactivated")) == []
    assert titles(office.browser.page(f"/admin?query={user.id}")) == [ANN]


def test_a_search_that_finds_too_many_says_so(office, create, monkeypatch):
    monkeypatch.setattr(user_list, "MOST_FOUND", 2)
    for number in range(3):
        create(f"u{number}@example.org")
    page = office.browser.page("/admin?query=u")
    assert len(titles(page)) == 2
    assert section(page, "Accounts")["text"][0].startswith("Only the first 2 accounts are shown.")


@pytest.mark.parametrize("query", ["before=x", "after='", "show=x", "query=" + "x" * 255, "query=%00"])
def test_hostile_queries_are_refused(office, query):
    assert office.browser.get(f"/admin?{query}").status_code == 400
    assert office.browser.api(f"/admin?{query}", method="GET")[0] == 400


@pytest.mark.parametrize("end", ["0" * 32, "f" * 32])
def test_the_ends_of_the_list(office, create, end):
    create(ANN)
    for name in ("before", "after"):
        for show in ("", "active"):
            assert office.browser.get(f"/admin?{name}={end}&show={show}").status_code == 200


def test_html_in_a_name_is_text(office, create):
    with office.host.request() as request:
        now, hostile = request.now, "<b>x</b>@example.org"
        user_id = request.new_id()
        values = {"id": user_id, "is_active": True, "date_joined": now}
        request.db.execute(insert(users).values(**values, username="<script>", username_key="<script>"))
        address = {"id": request.new_id(), "user_id": user_id, "email": hostile, "email_key": hostile}
        request.db.execute(insert(addresses).values(**address, verified=False, primary_of=user_id))
    for path in ("/admin", f"/admin/user?id={user_id}", f"/admin/delete?id={user_id}"):
        body = office.browser.get(path).body.decode()
        assert "&lt;b&gt;x&lt;/b&gt;@example.org" in body
        assert "<b>" not in body
        assert "<script>" not in body
    body = office.browser.get("/admin?query=%3Cscript%3Ealert").body.decode()
    assert "<script>alert" not in body


def test_the_statements_of_a_page_do_not_depend_on_the_number_of_accounts(office, create):
    counts = set()
    for number in range(3):
        with office.statements() as found:
            assert len(titles(office.browser.page("/admin"))) == number * 5 + 1
        counts.add(len(found))
        for each in range(5):
            create(f"u{number}{each}@example.org")
    assert len(counts) == 1
    assert not any("count(" in each.lower() for each in found)


def test_json(office, create, few):
    for number in range(4):
        create(f"u{number}@example.org")
    status, body = office.browser.api("/admin?show=active", method="GET")
    assert (status, [each["email"] for each in body["users"]]) == (200, names(3, 2, 1))
    assert body["newer"] is None
    _, more = office.browser.api(f"/admin?before={body['older']}", method="GET")
    assert [each["email"] for each in more["users"]] == [*names(0), ADMIN]
    assert more["older"] is None
