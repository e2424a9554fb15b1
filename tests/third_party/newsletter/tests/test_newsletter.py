"""The page, the endpoints and the section of the account page, as a user and a program see them."""

from __future__ import annotations

import pytest
from authhost_newsletter import plugin

from authhost.testing import PASSWORD
from authhost.testing.web_client import WebClient, codes

PAGE = "/newsletter/preferences"


@pytest.fixture
def authhost_plugins():
    return {"newsletter": plugin}


@pytest.fixture
def ann(web_client):
    web_client.post("/signup", email="ann@example.org", password=PASSWORD)
    return web_client


def test_a_visitor_must_log_in(web_client):
    assert web_client.get(PAGE).headers["Location"].startswith("/account/login?next=")
    assert web_client.api(PAGE, method="GET")[0] == 401


def test_the_form(ann):
    response = ann.post(PAGE, frequency="weekly", about_products="on")
    assert response.headers["Location"] == f"/account{PAGE}"
    page = ann.page(PAGE)
    assert page["messages"][0]["text"] == "Your preferences are saved."
    assert [field["value"] for field in page["forms"][0]["fields"]] == ["weekly", "on"]


def test_a_refusal_stands_at_its_field(ann):
    response = ann.post(PAGE, frequency="never", about_products="on")
    assert response.status_code == 403
    assert 'id="form-1-frequency-error"' in response.body.decode()
    assert ann.api(PAGE, method="GET")[1] == {"frequency": "never", "about_products": False}


@pytest.mark.parametrize("frequency", ["", "daily", "<script>"])
def test_another_choice_is_refused(ann, frequency):
    assert ann.post(PAGE, frequency=frequency).status_code == 400


def test_the_endpoints(ann):
    values = {"frequency": "monthly", "about_products": True}
    assert ann.api(PAGE, values) == (200, values)
    assert ann.api(PAGE, method="GET") == (200, values)
    status, problem = ann.api(PAGE, {"frequency": "monthly", "about_products": "yes"})
    assert (status, problem["field"]) == (400, "about_products")


def test_the_section_of_the_account_page(ann):
    ann.api(PAGE, {"frequency": "weekly"})
    (section,) = ann.page("/")["sections"]
    assert (section["title"], section["text"]) == ("Newsletter", ["Every week"])
    assert section["links"][0]["target"] == PAGE


def test_another_site_changes_nothing(ann):
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    assert ann.post(PAGE, headers=headers, frequency="weekly").status_code == 403
    assert ann.api(PAGE, method="GET")[1]["frequency"] == "never"


def test_the_choice_is_exported_and_deleted_with_the_account(ann, auth_host):
    ann.api(PAGE, {"frequency": "weekly"})
    with auth_host.request() as request:
        user = request.user_by_email("ann@example.org") or _user(ann, request)
        exported = request.accounts.export(user.id)
        assert exported["plugins"]["newsletter"]["newsletter"]["frequency"] == "weekly"
        request.accounts.delete(user.id)
    other = WebClient(ann.web)
    other.post("/signup", email="ann@example.org", password=PASSWORD)
    assert other.api(PAGE, method="GET")[1]["frequency"] == "never"
    assert codes(other.get(PAGE)) == []


def _user(client, request):
    from uuid import UUID

    identifier = UUID(client.api("/session", method="GET")[1]["user"]["id"])
    return request.account(identifier).user
