"""Texts of a link, such as an invitation code, reach the plugins."""

from __future__ import annotations

import pytest
from authhost_hookspecs import hookimpl

from authhost import ConfigurationError
from authhost.testing import PASSWORD
from authhost.testing.web_client import WebClient as Client


class Invitations:
    def __init__(self):
        self.seen = []

    @hookimpl
    def account_ready(self, request, user):
        self.seen.append(dict(request.given))


@pytest.fixture
def plugin():
    return Invitations()


@pytest.fixture
def client(open_site, plugin):
    return Client(open_site({"invitations": plugin}, web_given=("invitation",)))


def hidden(page, action):
    form = next(each for each in page["forms"] if each["action"] == action)
    return {field["name"]: field["value"] for field in form["fields"] if field["type"] == "hidden"}


def test_a_link_with_an_invitation(client, plugin):
    values = hidden(client.page("/signup?invitation=tulip&other=x"), "/signup")
    assert values == {"next": "", "invitation": "tulip"}
    client.post("/signup", email="ann@example.org", password=PASSWORD, **values)
    assert plugin.seen == [{"invitation": "tulip"}]


def test_the_login_page_keeps_it_for_the_signup(client):
    links = client.page("/login?invitation=tulip")["links"]
    assert links[-1]["target"] == "/signup?invitation=tulip"


def test_in_json(client, plugin):
    values = {"email": "ann@example.org", "password": PASSWORD, "invitation": "tulip"}
    assert client.api("/signup", values)[0] == 200
    assert plugin.seen == [{"invitation": "tulip"}]


@pytest.mark.parametrize("text", ["x" * 513, "\0", ""])
def test_hostile_texts(client, text):
    response = client.post("/signup", email="ann@example.org", password=PASSWORD, invitation=text)
    assert response.status_code == (303 if not text else 400)


@pytest.mark.parametrize("name", ["password", "Invitation", "a-b", ""])
def test_names_that_cannot_be_used(open_site, name):
    with pytest.raises(ConfigurationError, match="web_given"):
        open_site(web_given=(name,))
