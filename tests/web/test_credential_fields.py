"""Fields with a passkey or security key: as a value, in HTML, as an input, and in the OpenAPI document."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest
from authhost_hookspecs import ApiRoute, Field, Form, Page, PageRoute, Refused, hookimpl
from authhost_hookspecs.pages import MAX_CREDENTIAL_LENGTH

from authhost.testing.web_client import WebClient

OPTIONS = json.dumps({"challenge": "AAAA", "rpId": "example.org", "hint": "<b>\"'&"})
CREATE = Field("credential", type="public_key_create", value=OPTIONS)
GET = Field("credential", type="public_key_get", value=OPTIONS, autocomplete="webauthn")
INPUT = Field("credential", type="public_key_get")
LONGEST = "x" * MAX_CREDENTIAL_LENGTH


class Keys:
    """A plugin with a form for ``field``."""

    def __init__(self, field):
        self.field, self.sent = field, []

    @hookimpl
    def register_routes(self):
        return [
            PageRoute("/key", self.show, self.use, (INPUT,), login=False),
            ApiRoute("POST", "/key", self.use, "Use a key.", (INPUT,), login=False),
        ]

    def show(self, request):
        name = Field("name", "Name", autocomplete="username webauthn")
        return Page("keys", "Keys", forms=(Form("/key", "Use it", (name, self.field)),))

    def use(self, request, values):
        if values["credential"] == "refused":
            raise Refused("unknown_key", "This key is not known.", field="credential")
        self.sent.append(values["credential"])


class Elements(HTMLParser):
    """The attributes of the elements of a page, by tag."""

    def __init__(self, html):
        super().__init__()
        self.found = {}
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.setdefault(tag, []).append(dict(attrs))


@pytest.fixture
def open_client(open_site):
    def opened(field):
        keys = Keys(field)
        return WebClient(open_site({"keys": keys})), keys

    return opened


class TestTheValue:
    def test_the_options_are_kept_in_json(self, open_client):
        client, _ = open_client(CREATE)
        field = client.page("/keys/key")["forms"][0]["fields"][1]
        assert (field["type"], field["value"]) == ("public_key_create", OPTIONS)
        assert field["max_length"] == MAX_CREDENTIAL_LENGTH

    def test_it_needs_no_label(self):
        assert CREATE.label == ""
        with pytest.raises(ValueError, match="needs a label"):
            Field("name")

    @pytest.mark.parametrize("value", ["{", "[]", "text", "[" * 100_000])
    def test_the_options_must_be_a_json_object(self, value):
        with pytest.raises(ValueError, match="must be a JSON object"):
            Field("credential", type="public_key_get", value=value)

    @pytest.mark.parametrize(
        ("kind", "length"), [("text", 10_001), ("public_key_get", MAX_CREDENTIAL_LENGTH + 1), ("text", -1)]
    )
    def test_the_length_has_a_limit(self, kind, length):
        with pytest.raises(ValueError, match="max_length must be 1 to"):
            Field("name", "Name", kind, max_length=length)

    def test_a_form_has_one_credential(self):
        with pytest.raises(ValueError, match="one credential only"):
            Form("/key", "Use it", (CREATE, GET))

    def test_options_are_not_in_the_repr(self):
        assert "challenge" not in repr(CREATE)


class TestHTML:
    @pytest.mark.parametrize(("field", "kind"), [(CREATE, "create"), (GET, "get")])
    def test_the_input_has_the_options_and_the_messages(self, open_client, field, kind):
        client, _ = open_client(field)
        html = client.get("/keys/key").body.decode()
        found = next(each for each in Elements(html).found["input"] if each.get("data-credential"))
        assert (found["type"], found["data-credential"], found["data-options"]) == ("hidden", kind, OPTIONS)
        assert ("data-conditional" in found) is (kind == "get")
        assert ("data-registered" in found) is (kind == "create")
        assert found["data-refused"].startswith("No passkey or security key was used")
        assert f'id="{found["data-error"]}" role="alert"' in html
        assert "value" not in found

    def test_the_form_is_hidden_until_the_script_shows_it(self, open_client):
        client, _ = open_client(GET)
        html = client.get("/keys/key").body.decode()
        form = next(each for each in Elements(html).found["form"] if each["action"] == "/account/keys/key")
        assert "hidden" in form
        assert f'id="{form["data-unsupported"]}">Passkeys and security keys need JavaScript' in html

    def test_the_messages_are_translated(self, open_client):
        client, _ = open_client(CREATE)
        client.headers["Accept-Language"] = "de"
        html = client.get("/keys/key").body.decode()
        assert 'data-failed="Dieser Passkey' in html
        assert "Passkeys und Sicherheitsschlüssel benötigen JavaScript" in html

    def test_a_username_with_passkeys_is_a_username(self, open_client):
        client, _ = open_client(GET)
        found = Elements(client.get("/keys/key").body.decode()).found["input"]
        name = next(each for each in found if each["name"] == "name")
        assert name["autocomplete"] == "username webauthn"
        assert (name["dir"], name["autocapitalize"]) == ("ltr", "none")

    def test_a_refusal_is_shown_at_the_button_with_new_options(self, open_client):
        client, _ = open_client(GET)
        response = client.post("/keys/key", credential="refused")
        html = response.body.decode()
        assert response.status_code == 403
        assert 'role="alert">This key is not known.</p>' in html
        found = next(each for each in Elements(html).found["input"] if each.get("data-credential"))
        assert found["data-options"] == OPTIONS
        assert "value" not in found


class TestInputs:
    def test_a_long_credential_is_accepted(self, open_client):
        client, keys = open_client(GET)
        client.post("/keys/key", credential=LONGEST)
        assert client.api("/keys/key", {"credential": LONGEST})[0] == 200
        assert keys.sent == [LONGEST, LONGEST]

    def test_it_is_required_and_limited_text(self, open_client):
        client, keys = open_client(GET)
        for value in ("", LONGEST + "x", {"id": "AAAA"}, None, 5):
            status, problem = client.api("/keys/key", {"credential": value})
            assert (status, problem["field"]) == (400, "credential")
        assert client.post("/keys/key").status_code == 400
        assert keys.sent == []


def test_openapi_says_what_the_text_is(open_client):
    client, _ = open_client(GET)
    operation = client.web.openapi["paths"]["/account/api/keys/key"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]["credential"]
    assert schema == {
        "type": "string",
        "maxLength": MAX_CREDENTIAL_LENGTH,
        "minLength": 1,
        "contentMediaType": "application/json",
        "description": "AuthenticationResponseJSON of Web Authentication, as text.",
    }


@pytest.mark.parametrize("name", ["webauthn.js", "credential_forms.js"])
def test_the_scripts_are_served(client, name):
    response = client.get(f"/static/{name}")
    assert response.status_code == 200
    assert response.mimetype in ("text/javascript", "application/javascript")
