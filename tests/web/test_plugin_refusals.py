"""A plugin's refusal that names its page: the browser is led there and back, programs learn where to go."""

from __future__ import annotations

import json

import pytest
from authhost_hookspecs import ApiRoute, Field, Form, Page, PageRoute, Refused, hookimpl

from authhost.testing import PASSWORD
from authhost.testing.web_client import WebClient

ACCOUNT = {"email": "ann@example.org", "password": PASSWORD}
ADD = {"email": "new@example.org"}
CODE = Field("code", "Code")


def send_to(page):
    def show(request):
        raise Refused("not_here", "Not here.", path=f"/round/{page}")

    return show


class Desk:
    """Refuses changes until its code was entered in the session."""

    def __init__(self, path="/confirm"):
        self.path = path

    @hookimpl
    def before_change(self, request, user, change):
        if not any(each.method == "desk" for each in request.authentication):
            raise self.refusal()

    def refusal(self):
        return Refused("ask_at_the_desk", "Please ask at the desk first.", path=self.path, retry_after=7)

    @hookimpl
    def register_routes(self):
        return [
            PageRoute("/confirm", self.show, self.confirm, (CODE,)),
            PageRoute("/wares", self.refuse, self.refuse),
            PageRoute("/loop", self.loop, self.loop),
            *(PageRoute(f"/round/{here}", send_to(there)) for here, there in ("ab", "bc", "ca")),
            PageRoute("/closed", lambda request: Page("closed", "Closed"), self.busy),
            ApiRoute("POST", "/confirm", self.confirm, "Confirm.", (CODE,)),
        ]

    def show(self, request):
        return Page("desk", "Desk", forms=(Form("/confirm", "Confirm", (CODE,)),))

    def confirm(self, request, values):
        if values["code"] != "right":
            raise Refused("wrong_code", "The code is not right.", field="code", path="/confirm")
        request.logins.reauthenticate(method="desk", factors=("possession",))

    def refuse(self, request, values=None):
        raise self.refusal()

    def loop(self, request, values=None):
        raise Refused("no", "No.", path="/loop")

    def busy(self, request, values):
        raise Refused("busy", "Busy.", retry_after=2.5)


@pytest.fixture
def ann(open_site):
    client = WebClient(open_site({"desk": Desk()}, email_verification="none"))
    assert client.api("/signup", ACCOUNT)[0] == 200
    return client


def test_a_browser_is_led_to_the_page_and_back(ann):
    response = ann.post("/emails/add", **ADD)
    assert response.status_code == 303
    target = response.headers["Location"]
    assert target == "/account/desk/confirm?next=%2Faccount%2Femails"
    shown = ann.page(target)
    assert [each["text"] for each in shown["messages"]] == ["Please ask at the desk first."]
    action = shown["forms"][0]["action"]
    assert action == "/desk/confirm?next=%2Faccount%2Femails"
    refused = ann.post(action, code="wrong")
    assert refused.status_code == 403
    assert "next=%2Faccount%2Femails" in refused.body.decode()
    assert ann.post(action, code="right").headers["Location"] == "/account/emails"
    assert ann.post("/emails/add", **ADD).headers["Location"] == "/account/emails"
    assert len(ann.page("/emails")["sections"][0]["rows"]) == 2


def test_a_program_learns_the_endpoint(ann):
    status, body = ann.api("/emails/add", ADD)
    assert (status, body["code"], body["plugin_code"]) == (403, "vetoed", "ask_at_the_desk")
    assert body["next"] == [{"step": "desk.ask_at_the_desk", "path": "/account/api/desk/confirm"}]
    assert "path" not in body
    assert ann.api("/desk/confirm", {"code": "right"})[0] == 200
    assert ann.api("/emails/add", ADD)[0] == 200


def test_when_to_try_again(ann):
    """RFC 9110, 10.2.3."""
    response = ann.send(
        "POST",
        "/account/api/emails/add",
        body=json.dumps(ADD).encode(),
        headers={"Content-Type": "application/json"},
    )
    assert (response.headers["Retry-After"], json.loads(response.body)["retry_after"]) == ("7", 7)
    response = ann.post("/desk/closed")
    assert (response.status_code, response.headers["Retry-After"]) == (403, "3")


def test_a_page_of_the_plugin_leads_there_too(ann):
    expected = "/account/desk/confirm?next=%2Faccount%2Fdesk%2Fwares"
    assert ann.get("/desk/wares").headers["Location"] == expected
    assert ann.post("/desk/wares").headers["Location"] == expected


def test_a_page_does_not_lead_to_itself(ann):
    assert ann.get("/desk/loop").status_code == 403
    assert ann.post("/desk/loop").status_code == 403


def test_another_site_is_no_target(ann):
    response = ann.post("/desk/confirm?next=https%3A%2F%2Fevil.example%2F", code="right")
    assert response.headers["Location"] == "/account/"


def test_a_page_that_is_not_there_is_not_led_to(open_site):
    client = WebClient(open_site({"desk": Desk("/gone")}, email_verification="none"))
    client.api("/signup", ACCOUNT)
    assert client.post("/emails/add", **ADD).status_code == 403
    status, body = client.api("/emails/add", ADD)
    assert (status, "next" in body) == (403, False)


@pytest.mark.parametrize(
    "path", ["", "confirm", "//evil.example", "/../login", "/Confirm", "https://evil.example"]
)
def test_only_a_path_of_the_plugin_can_be_named(path):
    with pytest.raises(ValueError, match="path must begin with /"):
        Refused("code", "Text.", path=path)


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_only_a_time_can_be_named(seconds):
    with pytest.raises(ValueError, match="retry_after must be above 0"):
        Refused("code", "Text.", retry_after=seconds)


def test_pages_that_send_to_each_other_end_in_a_refusal(ann):
    followed, response = 0, ann.get("/desk/round/a")
    while response.status_code == 303:
        followed, response = followed + 1, ann.get(response.headers["Location"])
        assert followed < 5
    assert (response.status_code, "Not here." in response.body.decode()) == (403, True)
