"""Generated requests: no server error, and each response matches the OpenAPI document."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from authhost.testing import PASSWORD, Clock, Mailbox, open_host
from authhost.testing.web_client import WebClient
from authhost.web import Web
from authhost.web.wsgi import WSGIApp

schemathesis = pytest.importorskip("schemathesis", reason="SKIPPED: run `pip install schemathesis`")

from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402

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
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def try_all(api, **options):
    """Send generated requests to each endpoint. Returns how many endpoints there are.

    Valid data may be refused: an address that the schema allows may belong to nobody.
    """
    operations = [each.ok() for each in api.get_all_operations()]
    for operation in operations:

        @few
        @given(case=operation.as_strategy())
        def check(case):
            case.call_and_validate(excluded_checks=[positive_data_acceptance], **options)

        check()
    return len(operations)


def test_a_visitor(api):
    assert try_all(api) > 20


def test_a_user(api, web):
    values = {"email": "ann@example.org", "password": PASSWORD}
    body = WebClient(web).api("/signup", values, headers={"Authhost-Client": "app"})[1]
    assert try_all(api, headers={"Authorization": f"Bearer {body['session_token']}"}) > 20
