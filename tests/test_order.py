"""Each flow calls its hooks in the documented order."""

from __future__ import annotations

import pytest
from authhost_hookspecs import hookimpl
from conftest import OTHER_PASSWORD, PASSWORD

from authhost.errors import EmailTaken, InvalidCredentials, InvalidKey

ANN, BOB, SECOND = "ann@example.org", "bob@example.org", "ann@work.example.org"


def signed_up(host, run, recorder, email=ANN):
    result = run(host, "signup", email=email, password=PASSWORD)
    recorder.calls.clear()
    return result.session_token


@pytest.mark.parametrize(
    ("verification", "names"),
    [
        ("none", ["user_signed_up", "user_logged_in"]),
        ("optional", ["user_signed_up", "email_confirmation_sent", "user_logged_in"]),
        ("mandatory", ["user_signed_up", "email_confirmation_sent"]),
    ],
)
def test_signup(make_host, run, recorder, verification, names):
    host = make_host(email_verification=verification)
    result = run(host, "signup", email=ANN, password=PASSWORD)
    assert recorder.names == names
    assert result.authenticated is (verification != "mandatory")
    if verification != "none":
        assert recorder.calls[1][1]["signup"] is True


@pytest.mark.parametrize("on", [True, False])
def test_confirm_in_the_same_browser(make_host, run, recorder, on):
    host = make_host(email_verification="mandatory", login_on_email_confirmation=on)
    token = signed_up(host, run, recorder)
    result = run(host, "confirm_email", token, key=recorder.key())
    assert recorder.names == ["email_confirmed", *(["user_logged_in"] if on else [])]
    assert (result.login is not None) is on


def test_a_key_works_once_and_not_for_ever(make_host, run, recorder, clock):
    host = make_host(email_verification="mandatory")
    signed_up(host, run, recorder)
    clock.forward(days=3, seconds=1)
    with pytest.raises(InvalidKey):
        run(host, "confirm_email", key=recorder.key())
    clock.forward(days=-3)
    run(host, "confirm_email", key=recorder.key())
    with pytest.raises(InvalidKey):
        run(host, "confirm_email", key=recorder.key())


def test_login_unverified_sends_a_confirmation(make_host, run, recorder):
    host = make_host(email_verification="mandatory")
    signed_up(host, run, recorder)
    result = run(host, "login", identifier=ANN, password=PASSWORD)
    assert result.waits_for == "email_verification"
    assert recorder.names == ["email_confirmation_sent", "login_pending"]
    assert recorder.calls[0][1]["signup"] is False


def test_signup_with_a_taken_address_tells_its_owner_alone(make_host, run, recorder):
    host = make_host(email_verification="mandatory")
    run(host, "confirm_email", signed_up(host, run, recorder), key=recorder.key())
    recorder.calls.clear()
    result = run(host, "signup", email=ANN.upper(), password=OTHER_PASSWORD)
    assert recorder.names == ["user_signed_up"]
    assert recorder.messages[-1].kind == "signup_existing_account"
    assert (result.user, result.waits_for) == (None, "email_verification")


def test_login_logout(make_host, run, recorder):
    host = make_host()
    signed_up(host, run, recorder)
    token = run(host, "login", identifier=ANN, password=PASSWORD).session_token
    run(host, "logout", token)
    run(host, "logout", token)
    assert recorder.names == ["user_logged_in", "user_logged_out"]
    with host.request(session_token=token) as request:
        assert request.user is None


def test_login_as_another_user_logs_out_the_first(make_host, run, recorder):
    host = make_host()
    signed_up(host, run, recorder, BOB)
    token = signed_up(host, run, recorder)
    run(host, "login", token, identifier=BOB, password=PASSWORD)
    assert recorder.names == ["user_logged_out", "user_logged_in"]
    assert [values["user"].email for _, values in recorder.calls] == [ANN, BOB]


def test_addresses(make_host, run, recorder):
    host = make_host()
    token = signed_up(host, run, recorder)
    run(host, "add_email", token, email=SECOND)
    assert recorder.names == ["email_confirmation_sent", "email_added"]
    run(host, "confirm_email", token, key=recorder.key())
    run(host, "make_primary", token, email=SECOND)
    run(host, "make_primary", token, email=SECOND)
    run(host, "remove_email", token, email=ANN)
    assert recorder.names[2:] == ["email_confirmed", "email_changed", "email_removed"]
    changed = recorder.calls[3][1]
    assert (changed["from_email_address"].email, changed["to_email_address"].email) == (ANN, SECOND)


def test_anothers_verified_address_can_be_added_but_not_confirmed(make_host, run, recorder):
    host = make_host()
    bob = signed_up(host, run, recorder, BOB)
    run(host, "confirm_email", bob, key=recorder.key())
    ann = signed_up(host, run, recorder)
    run(host, "add_email", ann, email=BOB)
    with pytest.raises(EmailTaken):
        run(host, "confirm_email", ann, key=recorder.key())
    assert recorder.names == ["email_confirmation_sent", "email_added", "flow_refused"]


def test_confirming_as_another_user_logs_them_out(make_host, run, recorder):
    host = make_host()
    signed_up(host, run, recorder)
    key = recorder.key()
    bob = signed_up(host, run, recorder, BOB)
    run(host, "confirm_email", bob, key=key)
    assert recorder.names == ["email_confirmed", "user_logged_out"]


def test_change_email_mode(make_host, run, recorder):
    host = make_host(change_email=True)
    token = signed_up(host, run, recorder)
    run(host, "add_email", token, email=SECOND)
    recorder.calls.clear()
    run(host, "confirm_email", token, key=recorder.key())
    assert recorder.names == ["email_confirmed", "email_changed"]
    assert [each.email for each in run(host, "list_emails", token)] == [SECOND]


def test_password_change_ends_other_sessions_and_changes_the_token(make_host, run, recorder):
    host = make_host()
    token = signed_up(host, run, recorder)
    other = run(host, "login", identifier=ANN, password=PASSWORD).session_token
    recorder.calls.clear()
    fresh = run(
        host, "change_password", token, current_password=PASSWORD, new_password=OTHER_PASSWORD
    ).session_token
    assert recorder.names == ["password_changed"]
    for each, alive in ((token, False), (other, False), (fresh, True)):
        with host.request(session_token=each) as request:
            assert (request.user is not None) is alive


def test_reset(make_host, run, recorder):
    host = make_host(login_on_password_reset=True)
    signed_up(host, run, recorder)
    run(host, "request_password_reset", email=ANN)
    first = recorder.key()
    run(host, "request_password_reset", email=ANN)
    result = run(host, "reset_password", key=recorder.key(), password=OTHER_PASSWORD)
    assert recorder.names == ["email_confirmed", "password_reset", "user_logged_in"]
    assert result.authenticated
    with pytest.raises(InvalidKey):
        run(host, "reset_password", key=first, password=PASSWORD)


def test_reset_for_an_unknown_address_has_the_same_result(make_host, run, recorder):
    host = make_host()
    assert run(host, "request_password_reset", email=BOB) is None
    assert recorder.messages[-1].kind == "password_reset_unknown_account"
    assert recorder.calls == []


def test_unknown_account_and_wrong_password_answer_alike(make_host, run, recorder):
    host = make_host()
    signed_up(host, run, recorder)
    answers = []
    for who in (ANN, BOB):
        with pytest.raises(InvalidCredentials) as caught:
            run(host, "login", identifier=who, password="wrong")
        answers.append((str(caught.value), caught.value.code, caught.value.fields))
    assert answers[0] == answers[1]
    assert [values["user"] is None for _, values in recorder.calls] == [False, True]


def test_reset_ends_the_session_of_another_user_in_this_browser(make_host, run, recorder):
    host = make_host()
    signed_up(host, run, recorder)
    bob = signed_up(host, run, recorder, BOB)
    run(host, "request_password_reset", email=ANN)
    run(host, "reset_password", bob, key=recorder.key(), password=OTHER_PASSWORD)
    assert recorder.names == ["user_logged_out", "email_confirmed", "password_reset"]
    with host.request(session_token=bob) as request:
        assert request.user is None


def test_a_reset_logs_in_as_a_login_would(make_host, run, recorder):
    host = make_host(login_on_password_reset=True, email_verification="mandatory")
    signed_up(host, run, recorder)
    run(host, "request_password_reset", email=ANN)
    result = run(host, "reset_password", key=recorder.key(), password=OTHER_PASSWORD)
    # The link proves that the user owns the address, so the login is complete.
    assert result.authenticated
    assert recorder.names == ["email_confirmed", "password_reset", "user_logged_in"]


def test_hook_receives_the_stored_user(make_host, run, recorder):
    seen = []

    class Looking:
        @hookimpl
        def email_changed(self, request, user):
            seen.append((user.email, request.user.email))

    host = make_host({"looking": Looking()})
    token = signed_up(host, run, recorder)
    run(host, "confirm_email", token, key=recorder.key())
    run(host, "add_email", token, email=SECOND)
    run(host, "confirm_email", token, key=recorder.key())
    run(host, "make_primary", token, email=SECOND)
    assert seen == [(SECOND, SECOND)]
