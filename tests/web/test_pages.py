"""Every page as a value, and what a person does with it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest

from authhost.testing import OTHER_PASSWORD, PASSWORD
from authhost.testing.web_client import WebClient as Client, codes

ANN = "ann@example.org"
BOB = "bob@example.org"


def forms(page):
    """The actions of all forms of a page, with the names of their visible fields."""
    found = list(page["forms"])
    for section in page["sections"]:
        found += section["forms"]
        for row in section["rows"]:
            found += row["forms"]
    return [
        (form["action"], [field["name"] for field in form["fields"] if field["type"] != "hidden"])
        for form in found
    ]


def sign_up(client, email=ANN):
    return client.post("/signup", email=email, password=PASSWORD)


def leads_to(response, path):
    assert response.status_code == 303, response.body.decode()
    assert urlsplit(response.headers["Location"]).path == path
    return response


def key_of(mailbox):
    return mailbox.key()


class TestSignup:
    def test_logs_in(self, client):
        leads_to(sign_up(client), "/account/")
        page = client.page("/")
        assert page["id"] == "account"
        assert page["text"] == [f"Logged in as {ANN}.", f"Your address {ANN} is not confirmed."]

    def test_shows_the_policy_in_advance(self, client):
        page = client.page("/signup")
        (form,) = page["forms"]
        password = next(each for each in form["fields"] if each["name"] == "password")
        assert password["hint"].startswith("At least 15 characters")
        assert password["type"] == "new_password"

    def test_a_refusal_stands_at_its_field_and_keeps_what_was_typed(self, client):
        response = client.post("/signup", email=ANN, password="short")
        text = response.body.decode()
        assert response.status_code == 400
        assert "The password must have at least 15 characters." in text
        assert f'value="{ANN}"' in text
        assert "short" not in text.replace("shorter", "")

    def test_waits_for_the_confirmation(self, open_site, mailbox):
        client = Client(open_site(email_verification="mandatory", login_on_email_confirmation=True))
        leads_to(sign_up(client), "/account/confirm-email")
        page = client.page("/confirm-email")
        assert page["id"] == "confirm_email_waiting"
        assert forms(page) == [("/confirm-email/send", []), ("/confirm-email/change", ["email"])]
        leads_to(client.get(f"/confirm-email/{mailbox.key()}"), "/account/confirm-email")
        page = client.page("/confirm-email")
        assert (page["id"], forms(page)) == ("confirm_email", [("/confirm-email", [])])
        leads_to(client.post("/confirm-email"), "/account/")
        assert client.page("/")["messages"][0]["code"] == "email_confirmed"

    def test_a_taken_address_looks_like_a_free_one(self, open_site):
        web = open_site(email_verification="mandatory")
        first, second = Client(web), Client(web)
        answers = [sign_up(first), sign_up(second)]
        assert [each.status_code for each in answers] == [303, 303]
        assert answers[0].headers["Location"] == answers[1].headers["Location"]
        pages = [client.page("/confirm-email") for client in (first, second)]
        assert pages[0] == pages[1]

    @pytest.mark.parametrize("setting", ["optional", "required"])
    def test_asks_for_a_username(self, open_site, setting):
        client = Client(open_site(username_at_signup=setting))
        (form,) = client.page("/signup")["forms"]
        (field,) = [each for each in form["fields"] if each["name"] == "username"]
        assert field["required"] is (setting == "required")
        leads_to(client.post("/signup", email=ANN, username="ann", password=PASSWORD), "/account/")
        assert client.page("/")["text"][0] == "Logged in as ann."

    def test_closed(self, open_site):
        page = Client(open_site(signup_open=False)).page("/signup")
        assert page["text"] == ["Signup is closed."]
        assert page["forms"] == []

    def test_change_of_a_mistyped_address(self, open_site, mailbox):
        client = Client(open_site(email_verification="mandatory"))
        sign_up(client, "ann@exmaple.org")
        leads_to(client.post("/confirm-email/change", email=ANN), "/account/confirm-email")
        assert mailbox.messages[-1].recipient == ANN


class TestLogin:
    @pytest.fixture(autouse=True)
    def account(self, web):
        sign_up(Client(web))

    def test_leads_to_the_page_that_was_wanted(self, client):
        response = leads_to(client.get("/emails"), "/account/login")
        wanted = client.page(response.headers["Location"].removeprefix("/account"))
        hidden = next(each for each in wanted["forms"][0]["fields"] if each["name"] == "next")
        assert hidden["value"] == "/account/emails"
        response = client.post("/login", identifier=ANN, password=PASSWORD, next=hidden["value"])
        leads_to(response, "/account/emails")

    @pytest.mark.parametrize(
        "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
    )
    def test_never_leaves_the_site(self, client, target):
        leads_to(client.post("/login", identifier=ANN, password=PASSWORD, next=target), "/account/")

    def test_says_the_same_for_an_unknown_account_and_a_wrong_password(self, client):
        answers = [
            client.post("/login", identifier=name, password=OTHER_PASSWORD)
            for name in (ANN, "eve@example.org")
        ]
        assert {each.status_code for each in answers} == {400}
        assert [codes(each) for each in answers] == [["invalid_credentials"]] * 2

    def test_a_logged_in_person_does_not_see_the_form(self, client):
        client.post("/login", identifier=ANN, password=PASSWORD)
        leads_to(client.get("/login"), "/account/")
        leads_to(client.get("/login?next=/welcome"), "/welcome")

    def test_logout(self, client):
        client.post("/login", identifier=ANN, password=PASSWORD)
        assert client.page("/logout")["id"] == "logout"
        leads_to(client.post("/logout"), "/account/login")
        assert client.messages("/login") == ["logged_out"]
        leads_to(client.get("/"), "/account/login")

    def test_rate_limit_says_when_to_try_again(self, open_site):
        client = Client(open_site(rate_limits={"login": "1/minute/ip"}))
        client.post("/login", identifier=ANN, password=PASSWORD)
        response = client.post("/login", identifier=ANN, password=PASSWORD)
        assert response.status_code == 429
        assert 0 < int(response.headers["Retry-After"]) <= 60


class TestPassword:
    @pytest.fixture(autouse=True)
    def account(self, client):
        sign_up(client)

    def test_change(self, client):
        assert forms(client.page("/password")) == [("/password/change", ["current_password", "new_password"])]
        leads_to(
            client.post("/password/change", current_password=PASSWORD, new_password=OTHER_PASSWORD),
            "/account/",
        )
        assert client.messages() == ["password_changed"]

    def test_a_wrong_current_password_stands_at_its_field(self, client):
        response = client.post(
            "/password/change", current_password=OTHER_PASSWORD, new_password=OTHER_PASSWORD
        )
        assert 'id="form-1-current_password-error"' in response.body.decode()

    def test_reset(self, client, web, mailbox):
        browser = Client(web)
        leads_to(browser.post("/forgot-password", email=ANN), "/account/forgot-password")
        assert browser.messages("/forgot-password") == ["reset_requested"]
        leads_to(browser.get(f"/reset-password/{mailbox.key()}"), "/account/reset-password")
        assert forms(browser.page("/reset-password")) == [("/reset-password", ["password"])]
        leads_to(browser.post("/reset-password", password=OTHER_PASSWORD), "/account/login")
        leads_to(client.get("/"), "/account/login")  # the former sessions have ended
        leads_to(browser.post("/login", identifier=ANN, password=OTHER_PASSWORD), "/account/")

    def test_reset_of_an_unknown_address_looks_the_same(self, web):
        first, second = Client(web), Client(web)
        answers = [first.post("/forgot-password", email=ANN), second.post("/forgot-password", email=BOB)]
        assert answers[0].headers["Location"] == answers[1].headers["Location"]
        assert first.page("/forgot-password") == second.page("/forgot-password")

    def test_a_used_link(self, web, mailbox):
        browser = Client(web)
        browser.post("/forgot-password", email=ANN)
        browser.get(f"/reset-password/{mailbox.key()}")
        other = Client(web)
        other.cookies = dict(browser.cookies)
        browser.post("/reset-password", password=OTHER_PASSWORD)
        response = other.post("/reset-password", password=PASSWORD)
        assert codes(response)[-1] == "invalid_key"
        assert "/account/forgot-password" in response.body.decode()


class TestEmails:
    @pytest.fixture(autouse=True)
    def account(self, client):
        sign_up(client)

    def test_add_confirm_make_primary_remove(self, client, mailbox):
        leads_to(client.post("/emails/add", email=BOB), "/account/emails")
        assert client.messages("/emails") == ["email_added"]
        client.get(f"/confirm-email/{mailbox.key()}")
        leads_to(client.post("/confirm-email"), "/account/emails")
        leads_to(client.post("/emails/primary", email=BOB), "/account/emails")
        rows = {row["title"]: row for row in client.page("/emails")["sections"][0]["rows"]}
        assert rows[BOB]["labels"] == ["Primary", "Confirmed"]
        leads_to(client.post("/emails/remove", email=ANN), "/account/emails")
        assert [row["title"] for row in client.page("/emails")["sections"][0]["rows"]] == [BOB]

    def test_a_refused_button_shows_a_message(self, client):
        assert codes(client.post("/emails/remove", email=ANN)) == ["primary_email_required"]

    def test_needs_a_recent_login(self, client, clock):
        clock.forward(seconds=600)
        response = leads_to(client.post("/emails/add", email=BOB), "/account/reauthenticate")
        page = client.page(response.headers["Location"].removeprefix("/account"))
        assert forms(page) == [("/reauthenticate", ["password"])]
        as_json = {"Accept": "application/json"}
        wrong = client.post("/reauthenticate", password="not the password", headers=as_json)
        (password, _) = json.loads(wrong.body)["forms"][0]["fields"]
        assert password["error"] == "The password is not right."
        leads_to(client.post("/reauthenticate", password=PASSWORD, next="/account/emails"), "/account/emails")
        leads_to(client.post("/emails/add", email=BOB), "/account/emails")

    def test_confirmation_in_another_browser_asks_for_the_password(self, client, web, mailbox):
        other = Client(web)
        other.get(f"/confirm-email/{mailbox.key()}")
        assert forms(other.page("/confirm-email")) == [("/confirm-email", ["password"])]
        leads_to(other.post("/confirm-email", password=PASSWORD), "/account/login")
        assert other.messages("/login") == ["email_confirmed"]

    def test_confirmation_without_the_password_leads_to_a_new_one(self, web, mailbox):
        other = Client(web)
        other.get(f"/confirm-email/{mailbox.key()}")
        leads_to(other.post("/confirm-email"), "/account/forgot-password")
        assert other.messages("/forgot-password") == ["recovered"]


class TestSessions:
    def test_list_and_end(self, client, web, clock):
        sign_up(client)
        other = Client(web)
        other.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0"
        clock.forward(seconds=5)
        other.post("/login", identifier=ANN, password=PASSWORD)
        rows = client.page("/sessions")["sections"][0]["rows"]
        assert [row["title"] for row in rows] == ["Firefox, Linux", "Unknown browser"]
        assert rows[1]["labels"] == ["This browser"]
        identifier = rows[0]["forms"][0]["fields"][0]["value"]
        leads_to(client.post("/sessions/end", id=identifier), "/account/sessions")
        leads_to(other.get("/"), "/account/login")

    def test_end_all_others(self, client, web):
        sign_up(client)
        other = Client(web)
        other.post("/login", identifier=ANN, password=PASSWORD)
        leads_to(client.post("/sessions/end-others"), "/account/sessions")
        leads_to(other.get("/"), "/account/login")
        assert client.get("/").status_code == 200

    @pytest.mark.parametrize("identifier", ["", "x", "01a21eb4-e08e-75d5-9d24-12fc79075f95"])
    def test_an_unknown_session(self, client, identifier):
        sign_up(client)
        response = client.post("/sessions/end", id=identifier)
        assert response.status_code in (400, 404)
        assert client.get("/").status_code == 200


def test_closing_the_account(client):
    sign_up(client)
    page = client.page("/close")
    assert page["forms"][0]["danger"] is True
    leads_to(client.post("/close"), "/account/login")
    assert client.messages("/login") == ["account_closed"]
    assert codes(client.post("/login", identifier=ANN, password=PASSWORD)) == ["invalid_credentials"]


def test_an_unknown_page(client):
    response = client.get("/nonsense")
    assert response.status_code == 404
    assert "There is no such page." in response.body.decode()
    assert client.send("DELETE", "/account/login").status_code == 405
    assert client.post("/sessions").status_code == 405


def test_every_page_without_a_login_is_a_page_or_leads_to_the_login(client, snapshot_pages):
    assert snapshot_pages(client) == {
        "/": "to /account/login",
        "/impersonation/begin": "impersonation_nothing",
        "/login": "login",
        "/signup": "signup",
        "/logout": "logout",
        "/reauthenticate": "to /account/login",
        "/close": "to /account/login",
        "/confirm-email": "confirm_email_nothing",
        "/emails": "to /account/login",
        "/forgot-password": "forgot_password",
        "/reset-password": "reset_password_nothing",
        "/password": "to /account/login",
        "/sessions": "to /account/login",
        "/connections": "to /account/login",
        "/social/signup": "social_signup_nothing",
        "/admin": "to /account/login",
        "/admin/create": "to /account/login",
        "/admin/user": "to /account/login",
        "/admin/delete": "to /account/login",
    }


@pytest.fixture
def snapshot_pages():
    """What each page of the core is for a client: its id, or where it leads to."""
    from authhost.web.pages import PAGES

    def snapshot(client):
        found = {}
        for path in PAGES:
            response = client.get(path, Accept="application/json")
            if response.status_code == 303:
                found[path] = f"to {urlsplit(response.headers['Location']).path}"
            else:
                found[path] = json.loads(response.body)["id"]
        return found

    return snapshot


def test_head_has_no_body(client):
    response = client.send("HEAD", "/account/login")
    assert (response.status_code, response.body) == (200, b"")


class Fields(HTMLParser):
    """Collects the inputs of a page by name."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "input" and dict(attributes).get("type") != "hidden":
            self.found.append(dict(attributes))

    def tokens(self):
        return [each.get("autocomplete") for each in self.found]


def test_password_managers_can_fill_every_form(client, web, mailbox):
    def tokens(path, of=client):
        return Fields(of.get(path).body.decode()).tokens()

    assert tokens("/login") == ["username", "current-password"]
    assert tokens("/signup") == ["email", "new-password"]
    sign_up(client)
    assert tokens("/password") == ["username", "current-password", "new-password"]
    hidden = Fields(client.get("/password").body.decode()).found[0]
    assert hidden["value"] == ANN
    browser = Client(web)
    browser.post("/forgot-password", email=ANN)
    browser.get(f"/reset-password/{mailbox.key()}")
    assert tokens("/reset-password", browser) == ["username", "new-password"]


def test_each_page_has_a_logout(client):
    sign_up(client)
    for path in ("/", "/emails", "/sessions", "/password", "/close"):
        assert 'action="/account/logout"' in client.get(path).body.decode()
