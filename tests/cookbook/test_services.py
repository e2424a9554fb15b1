"""The recipes of services.md."""

from __future__ import annotations

from authhost.testing import PASSWORD
from cookbook.conftest import ANN, SECOND, of_user, signed_up, user_by


def own_messages(mailbox):
    return [each for each in mailbox.messages if each.kind == "plugin"]


def test_admins(serve, mailbox):
    browser = serve("admins", addresses="root@example.org boss@example.org")
    signed_up(browser)
    assert [each.recipient for each in own_messages(mailbox)] == ["root@example.org", "boss@example.org"]
    assert f"{ANN} has signed up by the form." in own_messages(mailbox)[0].text
    browser("add_email", email=SECOND)
    browser("confirm_email", key=mailbox.key())
    with browser.request() as request:
        assert request.user.email == SECOND


def test_chat(serve, server):
    browser = serve("chat", webhook_url=f"{server.url}/hook")
    user = signed_up(browser).user
    (call,) = server.received
    assert (call.path, call.values) == ("/hook", {"text": f"A new user: {user.id}"})
    assert server.url not in repr(browser.host.plugin_settings("chat"))


def test_billing(serve, server, mailbox, module):
    browser = serve("billing", url=server.url)
    user = signed_up(browser).user
    browser("confirm_email", key=mailbox.key())
    invoice_address = module("billing").invoice_address
    assert of_user(browser, invoice_address) == ANN
    browser("add_email", email=SECOND)
    browser("confirm_email", key=mailbox.key())
    browser("make_primary", email=SECOND)
    assert [(each.method, each.path, each.values) for each in server.received] == [
        ("PUT", f"/customers/{user.id}", {"email": ANN}),
        ("PUT", f"/customers/{user.id}", {"email": SECOND}),
    ]
    assert of_user(browser, invoice_address) == SECOND
    (notice,) = own_messages(mailbox)
    assert notice.recipient == ANN
    assert "new address" in notice.text


def test_marketing(serve, server, module):
    urls = {"newsletter_url": f"{server.url}/list", "analytics_url": f"{server.url}/events"}
    browser = serve("marketing", **urls)
    browser.ip_address, browser.user_agent = "203.0.113.7", "Firefox"
    picture = "https://pictures.example.org/ann.png"
    verified = {"email": ANN, "email_verified": True}
    result = browser.social(sub="ann", **verified, name="Ann Smith", picture=picture)
    received = {each.path: each.values for each in server.received}
    assert received["/list"] == {"email": ANN, "name": "Ann Smith"}
    user_id = str(result.login.user.id)
    event = {"event": "login", "user": user_id, "ip": "203.0.113.7", "browser": "Firefox"}
    assert received["/events"] == event
    browser.social(sub="ann", **verified, picture=f"{picture}?new")
    assert of_user(browser, module("marketing").picture_of) == picture
    with browser.request() as request:
        assert request.accounts.export(request.user.id)["plugins"]["marketing"] == {"picture": picture}
        request.accounts.delete(request.user.id)
    with browser.request() as request:
        assert request.db.execute(module("marketing").profiles.select()).all() == []


def test_marketing_waits_for_the_confirmation(serve, server, mailbox):
    serve.host = {"email_verification": "mandatory"}
    browser = serve("marketing", newsletter_url=f"{server.url}/list")
    signed_up(browser)
    assert server.received == []
    browser("confirm_email", key=mailbox.key())
    assert [each.values for each in server.received] == [{"email": ANN, "name": None}]


def test_funnel(serve, server, mailbox, module):
    browser = serve("funnel", url=server.url)
    browser.language = "de-AT,de;q=0.9"
    verified = {"email": ANN, "email_verified": True}
    account = browser.social(sub="ann", **verified).account
    assert sorted(each.values["step"] for each in server.received) == ["returned", "signup"]
    assert {each.values["by"] for each in server.received} == {"corp"}
    assert [each.subject for each in own_messages(mailbox)] == ["Willkommen!"]
    server.received.clear()
    browser.social(sub="ann", **verified)
    assert sorted(each.values["step"] for each in server.received) == ["login", "returned"]
    assert len(own_messages(mailbox)) == 1
    with browser.request() as request:
        assert module("funnel").provider_of_session(request) == "corp"
    browser("set_password", password=PASSWORD)
    browser("social_disconnect", account_id=account.id)
    with browser.request() as request:
        assert module("funnel").provider_of_session(request) is None


def test_funnel_after_the_form(serve, server):
    browser = serve("funnel", url=server.url)
    result = browser.social(sub="ann")
    server.received.clear()
    browser("social_signup", signup_token=result.signup_token, email=ANN)
    assert [each.values for each in server.received] == [{"step": "signup", "by": "corp"}]


def test_directory(serve, server, mailbox):
    browser = serve("directory", url=server.url)
    user = signed_up(browser).user
    assert server.received == []
    browser("confirm_email", key=mailbox.key())
    browser.forget()
    browser("login", identifier=ANN, password=PASSWORD)
    assert [each.values for each in server.received] == [{"user": str(user.id), "addresses": [ANN]}]
    assert user_by(browser, ANN).id == user.id
