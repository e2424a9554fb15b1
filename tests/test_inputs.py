"""Whatever is sent, the answer is a typed refusal, and nothing is stored."""

from __future__ import annotations

import pytest
from conftest import OTHER_PASSWORD, PASSWORD
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import select

from authhost.errors import AuthError, InvalidInput
from authhost.store.models import User, metadata

ANN, SECOND = "ann@example.org", "ann@work.example.org"
WRONG_TYPE = st.one_of(st.none(), st.binary(), st.integers(), st.floats(), st.lists(st.text()))
WRONG_TEXT = st.one_of(
    st.just(""),
    st.text(),
    st.text(min_size=255, max_size=300),
    st.characters(categories=["Cs"]),
    st.sampled_from(
        [
            "a\0@b.org",
            "ann@example.org\n",
            "ann@example.org\r\nBcc: eve@example.org",
            "\u0430nn@example.org",  # Cyrillic a
            "\uff41nn@example.org",  # full-width a
            "ANN@EXAMPLE.ORG",
            "ann@ex\u00adample.org",  # soft hyphen
            "ann@example.org\u202e",  # right-to-left override
            "ann@[127.0.0.1]",
            "ann@" + "a" * 64 + ".org",
            "\ufb01" * 400,  # grows under NFKC
            "\u0130" * 150,  # grows under casefold
            "x" * 1_000_000,
            "%(key)s {key} ' OR 1=1 --",
        ]
    ),
)
FLOWS = {
    "signup": {"email": "new@example.org", "password": PASSWORD, "username": "new"},
    "login": {"identifier": ANN, "password": PASSWORD},
    "logout": {},
    "reauthenticate": {"password": PASSWORD},
    "end_session": {"session_id": None},
    "confirm_email": {"key": None},
    "send_confirmation": {"email": ANN},
    "add_email": {"email": "new@example.org"},
    "remove_email": {"email": SECOND},
    "make_primary": {"email": SECOND},
    "set_password": {"password": OTHER_PASSWORD},
    "change_password": {"current_password": PASSWORD, "new_password": OTHER_PASSWORD},
    "request_password_reset": {"email": ANN},
    "reset_password": {"key": None, "password": OTHER_PASSWORD},
}
CASES = [
    (flow, field, logged_in)
    for flow, values in FLOWS.items()
    for field in values
    for logged_in in (True, False)
]


def stored(host):
    with host.engine.connect() as connection:
        return {table.name: connection.execute(select(table)).all() for table in metadata.sorted_tables}


@pytest.mark.parametrize(("flow", "field", "logged_in"), CASES)
def test_a_wrong_value_is_refused_by_type_and_stores_nothing(
    make_host, run, recorder, flow, field, logged_in
):
    host = make_host()
    token = run(host, "signup", email=ANN, password=PASSWORD, username="ann").session_token
    run(host, "add_email", token, email=SECOND)
    key = recorder.key()
    values = {name: key if value is None else value for name, value in FLOWS[flow].items()}
    before = stored(host)

    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.one_of(WRONG_TYPE, WRONG_TEXT))
    def check(value):
        try:
            with host.request(session_token=token if logged_in else None) as request:
                getattr(host.account, flow)(request, **{**values, field: value})
                request.rollback()
        except AuthError as error:
            assert error.code
            assert repr(value) not in repr(error) or len(repr(value)) < 4
        else:
            # What was drawn happens to be right, such as another spelling of the address.
            assert isinstance(value, str) or (flow, field, value) == ("signup", "username", None)
        assert stored(host) == before

    check()


@given(st.one_of(WRONG_TYPE, WRONG_TEXT))
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_wrong_session_token_is_nobody(make_host, value):
    host = make_host()
    with host.request(session_token=value) as request:
        assert request.user is None
        host.account.logout(request)


@pytest.mark.parametrize("value", ["", "example.org", "1.2.3", "::g", b"127.0.0.1", 127])
def test_a_wrong_ip_address_is_refused(make_host, value):
    with pytest.raises(InvalidInput):
        make_host().request(ip_address=value)


@pytest.mark.parametrize("lookalike", ["ANN@example.org", "ann@EXAMPLE.org"])
def test_another_spelling_is_the_same_address(make_host, run, lookalike):
    host = make_host(email_verification="none")
    run(host, "signup", email=ANN, password=PASSWORD)
    with pytest.raises(AuthError):
        run(host, "signup", email=lookalike, password=PASSWORD)
    with host.engine.connect() as connection:
        assert len(connection.execute(select(User.id)).all()) == 1


def test_a_confusable_is_another_address(make_host, run):
    host = make_host(email_verification="none")
    run(host, "signup", email=ANN, password=PASSWORD)
    assert run(host, "signup", email="\u0430nn@example.org", password=PASSWORD).authenticated
