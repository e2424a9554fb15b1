"""Generated requests: no server error, and each response matches the OpenAPI document."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings

from authhost.testing import PASSWORD, Clock, Mailbox, open_host
from authhost.testing.web_client import WebClient
from authhost.web import Web
from authhost.web.wsgi import WSGIApp

schemathesis = pytest.importorskip("schemathesis", reason="SKIPPED: run `pip install schemathesis`")

from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance  # noqa: E402

BASE_URL = "https://example.org"


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    url = f"sqlite:///{tmp_path_factory.mktemp('site') / 'site.sqlite3'}"
    host = open_host(url, {"mailbox": Mailbox()}, clock=Clock(), base_url=BASE_URL)
    yield Web(host)
    host.close()


@pytest.fixture(scope="module")
def api(web):
    return schemathesis.openapi.from_wsgi("/account/api/openapi.json", WSGIApp(web.host))


few = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def try_all(api, headers, *excluded):
    """Send generated requests to each endpoint. Returns the status codes by path.

    ``headers`` returns those of one request. Valid data may be refused: an address that
    the schema allows may belong to nobody.
    """
    found = defaultdict(Counter)
    for operation in [each.ok() for each in api.get_all_operations()]:

        @few
        @given(case=operation.as_strategy())
        def check(case):
            left_out = [positive_data_acceptance, *excluded]
            response = case.call_and_validate(excluded_checks=left_out, headers=headers())
            found[case.path.removeprefix("/account/api")][response.status_code] += 1

        check()
    return found


def test_a_visitor(api):
    found = try_all(api, dict)
    assert len(found) > 20
    assert 200 not in found["/emails"]


def test_a_user(api, web):
    """Each request is of a new user: one that closes the account does not log the others out."""
    numbers = count()

    def of_a_new_user():
        values = {"email": f"user{next(numbers)}@example.org", "password": PASSWORD}
        body = WebClient(web).api("/signup", values, headers={"Authhost-Client": "app"})[1]
        return {"Authorization": f"Bearer {body['session_token']}"}

    # The user's token replaces the generated one, which the check takes for the one that was sent.
    found = try_all(api, of_a_new_user, ignored_auth)
    assert len(found) > 20
    for path in (
        "/close",
        "/emails",
        "/emails/add",
        "/logout",
        "/session",
        "/sessions",
        "/sessions/end-others",
    ):
        assert found[path][200], (path, found[path])
