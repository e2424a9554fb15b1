"""Changes to the web response: when they are applied, which are refused, and on which responses."""

from __future__ import annotations

import pytest
from authhost_hookspecs import Refused, hookimpl
from conftest import PASSWORD

from authhost.errors import AuthError, UnitOfWorkClosed
from authhost.request.answer import AnswerMessage, Cookie

ANN = "ann@example.org"


class Answers:
    """A plugin that does something to the answer of each signup and of each refusal."""

    def __init__(self, change):
        self.change = change

    @hookimpl
    def user_signed_up(self, request):
        self.change(request.answer)

    @hookimpl
    def flow_refused(self, request, flow):
        request.answer.message("warning", f"{flow} was refused")


@pytest.fixture
def sign_up(make_host):
    def sign_up(change=lambda answer: None, **plugins):
        host = make_host({"answers": Answers(change), **plugins}, email_verification="none")
        with host.request() as request:
            host.account.signup(request, email=ANN, password=PASSWORD)
        return host, request

    return sign_up


@pytest.fixture
def answer(make_host):
    """The answer of an open unit of work."""
    with make_host(base_url="https://site.example").request() as request:
        yield request.answer


def every_change(answer):
    answer.set_cookie("language", "de", max_age=60, path="/de", http_only=False, same_site="Strict")
    answer.delete_cookie("referral")
    answer.message("success", "Welcome!")
    answer.redirect("/welcome?a=1")


def test_what_a_plugin_asks_for_is_there_after_the_block(sign_up):
    _, request = sign_up(every_change)
    assert request.answer.cookies == (
        Cookie("language", "de", 60, "/de", http_only=False, same_site="Strict"),
        Cookie("referral", None),
    )
    assert request.answer.messages == (AnswerMessage("success", "Welcome!"),)
    assert request.answer.location == "/welcome?a=1"
    assert "de" not in repr(request.answer.cookies[0]).replace("/de", "")


def test_nothing_is_there_before_the_commit(make_host):
    with make_host().request() as request:
        every_change(request.answer)
        answer = request.answer
        assert (answer.cookies, answer.messages, answer.location) == ((), (), None)
        request.commit()
        assert len(answer.cookies) == 2
        answer.message("info", "after the first commit")
        assert len(answer.messages) == 1
    assert len(answer.messages) == 2


def test_rollback_drops_everything(make_host):
    with pytest.raises(RuntimeError, match="fails"), make_host().request() as request:
        every_change(request.answer)
        raise RuntimeError("the application fails")
    assert (request.answer.cookies, request.answer.messages, request.answer.location) == ((), (), None)


def test_failed_call_of_a_hook_drops_its_own_changes(sign_up):
    class Fails:
        @hookimpl
        def user_signed_up(self, request):
            request.answer.message("info", "of the failed call")
            request.answer.set_cookie("authhost", "x")

    _, request = sign_up(every_change, fails=Fails())
    assert request.answer.messages == (AnswerMessage("success", "Welcome!"),)


def test_refused_flow_drops_its_changes_but_keeps_those_of_flow_refused(sign_up):
    class Refuses:
        active = False

        @hookimpl
        def before_login(self, request):
            if self.active:
                request.answer.message("info", "of the veto")
                raise Refused("no", "No.")

    refuses = Refuses()
    host, _ = sign_up(refuses=refuses)
    refuses.active = True
    with pytest.raises(AuthError), host.request() as request:
        host.account.login(request, identifier=ANN, password=PASSWORD)
    assert request.answer.messages == (AnswerMessage("warning", "login was refused"),)


def test_changes_of_flow_refused_survive_the_failure_of_the_application(sign_up):
    host, _ = sign_up()
    with pytest.raises(RuntimeError), host.request() as request:
        with pytest.raises(AuthError):
            host.account.login(request, identifier=ANN, password="wrong")
        request.answer.message("info", "of the application")
        raise RuntimeError
    assert request.answer.messages == (AnswerMessage("warning", "login was refused"),)


def test_later_change_of_the_same_thing_counts(make_host):
    with make_host().request() as request:
        answer = request.answer
        answer.set_cookie("a", "1")
        answer.set_cookie("b", "1")
        answer.delete_cookie("a")
        answer.set_cookie("a", "1", path="/other")
        answer.redirect("/one")
        answer.redirect("http://localhost:8000/two")
    assert [(each.name, each.path, each.value) for each in answer.cookies] == [
        ("b", "/", "1"),
        ("a", "/", None),
        ("a", "/other", "1"),
    ]
    assert answer.location == "http://localhost:8000/two"


def test_callback_of_on_commit_may_change_the_answer(make_host):
    with make_host().request() as request:
        request.on_commit(lambda: request.answer.message("info", "stored"))
    assert request.answer.messages == (AnswerMessage("info", "stored"),)
    with pytest.raises(UnitOfWorkClosed):
        request.answer.message("info", "too late")


@pytest.mark.parametrize(
    "name",
    [
        *("", "a b", "a=b", "a;b", "ä", "a\r\nSet-Cookie", "x" * 257, "$Version", "$x"),
        *("authhost", "authhost-x", "Authhost_x", "__Host-authhost-session", "__secure-x", "__Secure-x"),
    ],
)
def test_name_of_a_cookie_is_refused(answer, name):
    for change in (lambda: answer.set_cookie(name, ""), lambda: answer.delete_cookie(name)):
        with pytest.raises(ValueError, match="cookie"):
            change()


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"value": "a b"}, ValueError),
        ({"value": "a;b"}, ValueError),
        ({"value": 'a"b'}, ValueError),
        ({"value": "a\nb"}, ValueError),
        ({"value": "ä"}, ValueError),
        ({"value": "x" * 4096}, ValueError),
        ({"value": 1}, TypeError),
        ({"max_age": -1}, ValueError),
        ({"max_age": 401 * 86400}, ValueError),
        ({"max_age": 1.5}, TypeError),
        ({"max_age": True}, TypeError),
        ({"path": "relative"}, ValueError),
        ({"path": "/a;b"}, ValueError),
        ({"path": "/a\n"}, ValueError),
        ({"same_site": "lax"}, ValueError),
        ({"same_site": "None", "secure": False}, ValueError),
        ({"secure": 1}, TypeError),
        ({"http_only": None}, TypeError),
        ({"name": "__Host-x", "path": "/a"}, ValueError),
        ({"name": "__Host-x", "secure": False}, ValueError),
        ({"name": b"x"}, TypeError),
    ],
)
def test_attribute_of_a_cookie_is_refused(answer, values, error):
    with pytest.raises(error):
        answer.set_cookie(**{"name": "x", "value": "1", **values})


@pytest.mark.parametrize(
    ("level", "text", "error"),
    [
        ("debug", "a", ValueError),
        ("info", "", ValueError),
        ("info", "x" * 1001, ValueError),
        ("info", "a\x00b", ValueError),
        ("info", b"a", TypeError),
    ],
)
def test_message_is_refused(answer, level, text, error):
    with pytest.raises(error):
        answer.message(level, text)


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "https://evil.example/", "/\\evil", "javascript:alert(1)", "relative", "", None],
)
def test_redirect_stays_on_the_site(answer, path):
    with pytest.raises(ValueError, match="path"):
        answer.redirect(path)


def test_number_is_limited_and_dropped_changes_do_not_count(make_host):
    class Fails:
        @hookimpl
        def user_signed_up(self, request):
            for number in range(20):
                request.answer.set_cookie(f"fails{number}", "1")
            raise RuntimeError

    host = make_host({"fails": Fails()}, email_verification="none")
    with host.request() as request:
        host.account.signup(request, email=ANN, password=PASSWORD)
        for number in range(20):
            request.answer.message("info", str(number))
            request.answer.set_cookie(f"c{number}", str(number))
        with pytest.raises(ValueError, match="at most 20 messages"):
            request.answer.message("info", "one more")
        with pytest.raises(ValueError, match="at most 20 cookies"):
            request.answer.delete_cookie("one_more")
        for _ in range(25):
            request.answer.delete_cookie("c1")
    assert (len(request.answer.cookies), len(request.answer.messages)) == (20, 20)


def test_limits_are_those_of_each_plugin(make_host):
    class Greedy:
        @hookimpl
        def user_signed_up(self, request):
            for number in range(20):
                request.answer.message("info", "of the greedy plugin")
                request.answer.set_cookie(f"greedy{number}", "1")

        @hookimpl
        def user_logged_in(self, request):
            request.on_commit(lambda: request.answer.message("info", "too many"))

    class Modest:
        @hookimpl
        def user_logged_in(self, request):
            request.answer.message("info", "of the modest plugin")
            request.answer.set_cookie("modest", "1")
            request.on_commit(lambda: request.answer.message("info", "after the commit"))

    host = make_host({"greedy": Greedy(), "modest": Modest()}, email_verification="none")
    with host.request() as request:
        host.account.signup(request, email=ANN, password=PASSWORD)
    assert len(request.answer.cookies) == 21
    assert [each.text for each in request.answer.messages[20:]] == [
        "of the modest plugin",
        "after the commit",
    ]
    assert host.plugin_stats()["greedy", "on_commit"].failures == 1


def starlette_response():
    pytest.importorskip("httpx2")
    responses = pytest.importorskip("starlette.responses")
    from starlette.applications import Starlette
    from starlette.routing import Route
    from starlette.testclient import TestClient

    def get(apply):
        def route(http):
            return apply(responses.PlainTextResponse("ok"))

        client = TestClient(Starlette(routes=[Route("/", route)]), base_url="https://site.example")
        return client.get("/").headers.get_list("set-cookie")

    return get


def flask_response():
    flask = pytest.importorskip("flask")

    def get(apply):
        app = flask.Flask(__name__)
        app.add_url_rule("/", "route", lambda: apply(flask.make_response("ok")))
        return app.test_client().get("/", base_url="https://site.example").headers.getlist("Set-Cookie")

    return get


def django_response():
    http = pytest.importorskip("django.http")
    from django.conf import settings

    if not settings.configured:
        settings.configure()
    return lambda apply: [each.OutputString() for each in apply(http.HttpResponse("ok")).cookies.values()]


@pytest.mark.parametrize("framework", [starlette_response, flask_response, django_response])
def test_apply_to_response(make_host, framework):
    get = framework()
    with make_host().request() as request:
        request.answer.set_cookie("plain", "a=b/c")
        request.answer.set_cookie("other", "1", max_age=60, path="/de", http_only=False, secure=False)
        request.answer.set_cookie("embedded", "1", same_site="None")
        request.answer.delete_cookie("referral", path="/de")
    found = {each.partition("=")[0]: each.lower().split("; ") for each in get(request.answer.apply_to)}
    assert found["plain"][0] in ("plain=a=b/c", 'plain="a=b/c"')
    assert {"secure", "httponly", "samesite=lax", "path=/"} <= set(found["plain"])
    assert not any(each.startswith(("max-age", "expires")) for each in found["plain"])
    assert {"max-age=60", "path=/de", "samesite=lax"} <= set(found["other"])
    assert not {"secure", "httponly"} & set(found["other"])
    assert {"samesite=none", "secure"} <= set(found["embedded"])
    assert {"max-age=0", "path=/de"} <= set(found["referral"])
