"""The recipes of invitations.md."""

from __future__ import annotations

from cookbook.conftest import ANN, EVE, SECOND, of_user, signed_up, user_by


def invitation(browser, module, team="editors"):
    with browser.request() as request:
        return module("teams").invite(request, team)


def test_teams(serve, module):
    browser = serve("teams", default_team="guests")
    code = invitation(browser, module)
    browser.given = {"invitation": code}
    signed_up(browser)
    assert of_user(browser, module("teams").teams_of) == ["editors"]
    browser.forget()
    signed_up(browser, EVE)  # with the same code
    assert of_user(browser, module("teams").teams_of) == ["guests"]
    with browser.request() as request:
        assert request.accounts.export(request.user.id)["plugins"]["teams"] == {"teams": ["guests"]}
        request.accounts.delete(request.user.id)
    with browser.request() as request:
        assert len(request.db.execute(module("teams").members.select()).all()) == 1


def test_teams_through_a_provider_and_its_form(serve, module):
    browser = serve("teams")
    browser.given = {"invitation": invitation(browser, module)}
    tab = browser.start_social()
    browser.given = {}
    result = browser.finish_social(tab, sub="ann")
    browser("social_signup", signup_token=result.signup_token, email=ANN)
    assert of_user(browser, module("teams").teams_of) == ["editors"]


def test_teams_after_the_confirmation_in_another_browser(serve, module, mailbox):
    serve.host = {"email_verification": "mandatory"}
    browser = serve("teams")
    browser.given = {"invitation": invitation(browser, module)}
    signed_up(browser)
    key = mailbox.key()
    with browser.request() as request:
        assert request.db.execute(module("teams").members.select()).all() == []
    browser.forget()
    browser.given = {}
    browser("confirm_email", key=key)
    user = user_by(browser, ANN)
    with browser.request() as request:
        assert module("teams").teams_of(request, user.id) == ["editors"]


def test_referral(serve, server):
    browser = serve("referral", queue_url=f"{server.url}/jobs")
    browser.given = {"referral": "bob"}
    user = signed_up(browser).user
    (job,) = server.received
    assert (job.method, job.path, job.values) == ("POST", "/jobs", {"user": str(user.id), "referral": "bob"})
    browser.forget()
    browser.given = {}
    signed_up(browser, EVE)
    assert len(server.received) == 1


def test_authors(serve, module, mailbox):
    authors, browser = module("authors"), serve("authors")
    with browser.request() as request:
        author = authors.invite(request, "Ann@Example.ORG", "A. Smith")
    sent = mailbox.messages[-1]
    assert (sent.kind, sent.recipient) == ("plugin", ANN)
    assert "/signup" in sent.text
    signed_up(browser)
    assert of_user(browser, authors.authors_of) == []
    browser("confirm_email", key=mailbox.key())
    assert of_user(browser, authors.authors_of) == [author]
    with browser.request() as request:
        exported = request.accounts.export(request.user.id)["plugins"]["authors"]
        assert exported == {"authors": [{"name": "A. Smith", "picture": None}]}
        request.accounts.delete(request.user.id)
    with browser.request() as request:
        assert request.db.execute(authors.authors.select()).all() == []


def test_authors_of_a_provider(serve, module):
    authors, browser = module("authors"), serve("authors")
    with browser.request() as request:
        author = authors.invite(request, ANN, "A. Smith")
    picture = "https://pictures.example.org/ann.png"
    browser.social(sub="ann", email=ANN, email_verified=True, name="Ann Smith", picture=picture)
    assert of_user(browser, authors.authors_of) == [author]
    with browser.request() as request:
        (row,) = request.db.execute(authors.authors.select())
    assert (row.name, row.picture) == ("Ann Smith", picture)


def test_authors_with_a_second_address(serve, module, mailbox):
    authors, browser = module("authors"), serve("authors")
    signed_up(browser)
    with browser.request() as request:
        author = authors.invite(request, SECOND, "A. Smith")
    browser("confirm_email", key=next(each.key for each in mailbox.messages if each.key))
    browser("add_email", email=SECOND)
    browser("confirm_email", key=mailbox.key())
    assert of_user(browser, authors.authors_of) == [author]
    assert user_by(browser, SECOND).id == user_by(browser, ANN).id
