"""Login with a provider through the pages: a real OpenID provider, whose person the test is."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
from authhost_hookspecs import Form, LoginStep, Page, PageRoute, Refused, hookimpl

from authhost.testing import PASSWORD
from authhost.testing.openid import PROVIDER_ID, TIMEOUT, LocalProvider
from authhost.testing.web_client import WebClient as Client, codes

ANN = "ann@example.org"
APP = {"Authhost-Client": "app"}
CALLBACK = f"/social/{PROVIDER_ID}/callback"


@pytest.fixture(scope="module")
def provider():
    with LocalProvider().start() as running:
        running.set_user("bob", email="bob@example.org", email_verified=True, name="Bob Barker")
        running.set_user("nameless")
        yield running


@pytest.fixture
def web(open_site, provider):
    return open_site(providers=provider.settings)


def begin(client, process="login", **values):
    """Press the button; return the URL of the provider."""
    response = client.post("/social/begin", provider=PROVIDER_ID, process=process, **values)
    assert response.status_code == 200, response.headers
    return response.headers["Refresh"].partition("url=")[2]


def agree(url, sub="bob", **form):
    """Agree at the provider; return the query of the callback."""
    answer = requests.post(url, data=form or {"sub": sub}, allow_redirects=False, timeout=TIMEOUT)
    return urlsplit(answer.headers["Location"]).query


def come_back(client, query, path=CALLBACK):
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": None}
    return client.send("GET", f"/account{path}?{query}", headers=headers)


def target(response):
    assert response.status_code == 303, response.body.decode()
    return response.headers["Location"]


def test_signup_and_login(client, web):
    button = next(form for form in client.page("/login")["forms"] if form["action"] == "/social/begin")
    assert button["submit"] == "Continue with OpenID Connect"
    assert target(come_back(client, agree(begin(client, next="/welcome")))) == "/welcome"
    assert client.page("/")["text"] == ["Logged in as bob@example.org."]
    again = Client(web)
    assert target(come_back(again, agree(begin(again)))) == "/account/"
    (row,) = client.page("/connections")["sections"][0]["rows"]
    assert row["title"] == "OpenID Connect"
    assert row["details"][0] == "Bob Barker"


class Gate:
    """Asks everybody to press a button."""

    @hookimpl
    def login_steps(self, request, user):
        return [LoginStep("pass", "/pass")]

    @hookimpl
    def register_routes(self):
        return [PageRoute("/pass", self.show, self.enter, step="pass")]

    def show(self, request):
        return Page("gate", "Gate", forms=(Form("/pass", "Continue"),))

    def enter(self, request, values):
        request.logins.complete_step("gate.pass")


def test_the_wanted_page_comes_after_the_steps_of_plugins(open_site, provider):
    client = Client(open_site({"gate": Gate()}, providers=provider.settings))
    step = target(come_back(client, agree(begin(client, next="/welcome"))))
    assert step == "/account/gate/pass?next=%2Fwelcome"
    (form,) = client.page(step)["forms"]
    assert target(client.post(form["action"])) == "/welcome"


def test_the_page_that_leads_to_the_provider_works_without_scripts(client):
    response = client.post("/social/begin", provider=PROVIDER_ID)
    url = response.headers["Refresh"].partition("url=")[2]
    assert url.startswith("http://localhost")
    assert f'href="{url.replace("&", "&amp;")}"' in response.body.decode()


def test_each_tab_has_its_own_cookie(client):
    urls = [begin(client), begin(client)]
    assert len([name for name in client.cookies if "-social-" in name]) == 2
    assert target(come_back(client, agree(urls[0]))) == "/account/"
    assert len([name for name in client.cookies if "-social-" in name]) == 1


def test_a_callback_in_another_browser_is_refused(client, web):
    query = agree(begin(client))
    other = Client(web)
    response = come_back(other, query)
    assert (response.status_code, "__Host-authhost-session" in other.cookies) == (400, False)
    assert "started in another browser" in response.body.decode()


def test_a_denied_login(client):
    url = begin(client)
    answered = agree(url, action="deny")
    query = urlencode({**dict(parse_qsl(urlsplit(url).query)), **dict(parse_qsl(answered))})
    response = come_back(client, query)
    assert response.status_code == 400
    assert "The login was cancelled." in response.body.decode()


@pytest.mark.parametrize(
    "query", ["", "state=x", "state=x&code=y", "sealed=x", "error=access_denied", "a=%ff"]
)
def test_a_hostile_callback(client, query):
    assert come_back(client, query).status_code == 400
    assert come_back(client, query, "/social/nope/callback").status_code in (400, 404)


def test_signup_without_an_address_asks_for_one(client, mailbox):
    assert target(come_back(client, agree(begin(client), "nameless"))) == "/account/social/signup"
    page = client.page("/social/signup")
    assert page["id"] == "social_signup"
    assert page["forms"][0]["fields"][0]["required"] is True
    response = client.post("/social/signup", email="")
    assert response.status_code == 400
    assert target(client.post("/social/signup", email="nameless@example.org")) == "/account/"
    assert mailbox.messages[-1].recipient == "nameless@example.org"


def test_signup_with_the_address_of_the_provider_needs_no_other(open_site, provider):
    client = Client(open_site(providers=provider.settings, social_auto_signup=False))
    assert target(come_back(client, agree(begin(client)))) == "/account/social/signup"
    assert client.page("/social/signup")["forms"][0]["fields"][0]["required"] is False
    client.post("/social/signup", email="")
    assert client.page("/")["text"] == ["Logged in as bob@example.org."]


def test_connect_and_disconnect(client, web):
    client.post("/signup", email=ANN, password=PASSWORD)
    assert target(come_back(client, agree(begin(client, "connect")))) == "/account/connections"
    page = client.page("/connections")
    assert page["messages"][0]["text"] == "The account at OpenID Connect is connected."
    identifier = page["sections"][0]["rows"][0]["forms"][0]["fields"][0]["value"]
    assert target(client.post("/connections/disconnect", id=identifier)) == "/account/connections"
    assert client.page("/connections")["sections"][0]["rows"] == []


def test_connecting_an_account_of_another_user_is_refused(client, web):
    other = Client(web)
    come_back(other, agree(begin(other)))
    client.post("/signup", email=ANN, password=PASSWORD)
    response = come_back(client, agree(begin(client, "connect")))
    assert response.status_code == 409
    assert "/account/connections" in response.body.decode()


def test_the_only_way_to_log_in_stays(client):
    come_back(client, agree(begin(client)))
    page = client.page("/connections")
    identifier = page["sections"][0]["rows"][0]["forms"][0]["fields"][0]["value"]
    assert codes(client.post("/connections/disconnect", id=identifier)) == ["last_login_method"]


def test_reauthentication_without_a_password_is_by_the_provider(client, clock):
    come_back(client, agree(begin(client)))
    clock.forward(seconds=600)
    wanted = target(client.get("/close"))
    page = client.page(wanted.removeprefix("/account"))
    assert [form["action"] for form in page["forms"]] == ["/social/begin"]
    hidden = {field["name"]: field["value"] for field in page["forms"][0]["fields"]}
    url = begin(client, next=hidden["next"])
    assert target(come_back(client, agree(url))) == "/account/close"
    assert client.page("/close")["id"] == "close"


class TestPostedCallback:
    """Providers such as Apple send the person back with a form of another site."""

    def test_becomes_a_get_that_shows_no_personal_data(self, client):
        query = agree(begin(client)) + "&" + urlencode({"user": '{"name": "Bob"}'})
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        site = {"Sec-Fetch-Site": "cross-site", "Origin": "https://appleid.apple.com"}
        kept, client.cookies = client.cookies, {}  # SameSite=Lax
        response = client.send("POST", f"/account{CALLBACK}", body=query.encode(), headers={**form, **site})
        location = target(response)
        assert "Set-Cookie" not in response.headers
        assert "Bob" not in location
        assert parse_qsl(query)[0][1] not in location
        client.cookies = kept
        assert target(come_back(client, urlsplit(location).query)) == "/account/"

    def test_changes_nothing_by_itself(self, client):
        headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
        response = client.send("POST", f"/account{CALLBACK}", body=b"code=x&state=y", headers=headers)
        assert target(response).startswith(f"/account{CALLBACK}?sealed=")
        assert "Set-Cookie" not in response.headers

    def test_no_other_path_is_read_like_this(self, client):
        headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
        for path in ("/social/a/b/callback", "/social/callback", "/social/begin", "/x/callback"):
            assert client.send("POST", f"/account{path}", headers=headers).status_code == 403


class TestApps:
    """A program that receives the callback itself, without cookies."""

    def test_login(self, client):
        status, body = client.api("/social/begin", {"provider": PROVIDER_ID}, headers=APP)
        assert status == 200
        values = {
            "provider": PROVIDER_ID,
            "query": agree(body["url"]),
            "state_token": body["state_token"],
        }
        status, body = client.api("/social/complete", values, headers=APP)
        assert (status, body["authenticated"], client.cookies) == (200, True, {})
        headers = {"Authorization": f"Bearer {body['session_token']}"}
        assert client.api("/session", method="GET", headers=headers)[1]["user"]["email"] == "bob@example.org"

    def test_signup_form(self, client):
        _, body = client.api("/social/begin", {"provider": PROVIDER_ID}, headers=APP)
        query, token = agree(body["url"], "nameless"), body["state_token"]
        values = {"provider": PROVIDER_ID, "query": query, "state_token": token}
        status, body = client.api("/social/complete", values, headers=APP)
        assert (status, body["missing"]) == (202, ["email"])
        values = {"email": "n2@example.org", "signup_token": body["signup_token"]}
        status, body = client.api("/social/signup", values, headers=APP)
        assert (status, body["authenticated"]) == (200, True)


class Desk:
    """Refuses a connection until the person has been at its page."""

    @hookimpl
    def before_change(self, request, user, change):
        if change.kind == "connect":
            raise Refused("ask_at_the_desk", "Please ask at the desk first.", path="/confirm")

    @hookimpl
    def register_routes(self):
        return [PageRoute("/confirm", lambda request: Page("desk", "Desk"))]


def test_a_plugin_that_refuses_a_connection_can_lead_to_its_page(open_site, provider):
    client = Client(open_site({"desk": Desk()}, providers=provider.settings))
    client.post("/signup", email=ANN, password=PASSWORD)
    page = target(come_back(client, agree(begin(client, "connect"))))
    assert page == "/account/desk/confirm?next=%2Faccount%2Fconnections"
    assert [each["text"] for each in client.page(page)["messages"]] == ["Please ask at the desk first."]
    assert client.page("/connections")["sections"][0]["rows"] == []
