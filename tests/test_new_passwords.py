"""A plugin's `check_password` sees every new password before it is hashed, and nothing reveals it."""

from __future__ import annotations

import logging
import re
import threading
import traceback
from pathlib import Path

import pytest
from authhost_hookspecs import Refused, hookimpl
from conftest import OTHER_PASSWORD, PASSWORD

import authhost
from authhost.errors import Vetoed, WeakPassword

ANN = "ann@example.org"
THIRD = "a third umbrella for rainy days"


class Checks:
    """Records what it sees, and refuses or fails as configured."""

    def __init__(self) -> None:
        self.seen = []
        self.action = lambda request, password: None

    @hookimpl
    def check_password(self, request, password, user):
        self.seen.append((password, user.email if user is not None else None))
        self.action(request, password)


@pytest.fixture
def checks():
    return Checks()


@pytest.fixture
def host(make_host, checks):
    return make_host({"checks": checks}, login_on_password_reset=True)


def refuse(request, password):
    raise Refused("not_this", "Choose another one.")


def reset_key(host, run, recorder):
    run(host, "request_password_reset", email=ANN)
    return recorder.key()


def test_each_flow_with_a_new_password(host, run, recorder, checks):
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    run(host, "login", identifier=ANN, password=PASSWORD)
    token = run(host, "reauthenticate", token, password=PASSWORD).session_token
    run(host, "change_password", token, current_password=PASSWORD, new_password=OTHER_PASSWORD)
    run(host, "reset_password", key=reset_key(host, run, recorder), password=THIRD)
    assert checks.seen == [(PASSWORD, None), (OTHER_PASSWORD, ANN), (THIRD, ANN)]


def test_set_password(host, run, recorder, checks):
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    with host.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE authhost_user SET password = NULL")
    run(host, "set_password", token, password=OTHER_PASSWORD)
    assert checks.seen[-1] == (OTHER_PASSWORD, ANN)


def test_the_policy_of_the_core_is_first(host, run, checks):
    with pytest.raises(WeakPassword):
        run(host, "signup", email=ANN, password="short")
    assert checks.seen == []


def test_the_password_is_normalised(host, run, checks):
    run(host, "signup", email=ANN, password="ﬁfteen umbrellas and a moon")
    assert checks.seen == [("fifteen umbrellas and a moon", None)]


def test_only_a_checked_password_can_be_hashed():
    """mypy lets `Passwords.hash` take nothing else, and one function makes it."""
    folder = Path(authhost.__file__).parent
    makers = {
        str(path.relative_to(folder))
        for path in folder.rglob("*.py")
        if re.search(r"CheckedPassword\((?!\"any\")(?!\"CheckedPassword\")", path.read_text(encoding="utf-8"))
    } - {"security/passwords.py"}
    assert makers == {"account/new_password.py"}


@pytest.mark.parametrize("field", ["password", "new_password", "elsewhere"])
def test_a_refusal_has_a_field(host, run, recorder, checks, field):
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    checks.action = refuse
    if field == "elsewhere":

        def action(request, password):
            raise Refused("not_this", "Choose another one.", field="elsewhere")

        checks.action = action
    if field == "new_password":
        flow, values = "change_password", {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
    else:
        flow, values = "reset_password", {"key": reset_key(host, run, recorder), "password": THIRD}
    recorder.calls.clear()
    with pytest.raises(Vetoed, match=r"Choose another one\.") as caught:
        run(host, flow, token, **values)
    fields = {"plugin_code": "not_this", "plugin": "checks", "field": field}
    assert dict(caught.value.fields) == fields
    [(name, refused)] = recorder.calls
    assert (name, refused["flow"], refused["user"].email) == ("flow_refused", flow, ANN)
    checks.action = lambda request, password: None
    run(host, flow, token, **values)


def test_the_user_of_a_refused_reset_is_recorded_in_any_browser(host, run, recorder, checks):
    run(host, "signup", email=ANN, password=PASSWORD)
    key = reset_key(host, run, recorder)
    checks.action = refuse
    recorder.calls.clear()
    with pytest.raises(Vetoed):
        run(host, "reset_password", key=key, password=THIRD)
    [(_, refused)] = recorder.calls
    assert refused["user"].email == ANN


def test_a_refused_signup_stores_nothing(host, run, recorder, checks):
    checks.action = refuse
    with pytest.raises(Vetoed):
        run(host, "signup", email=ANN, password=PASSWORD)
    assert recorder.names == ["flow_refused"]
    checks.action = lambda request, password: None
    run(host, "signup", email=ANN, password=PASSWORD)


def test_a_field_in_another_veto(make_host, run):
    class Vetoes:
        @hookimpl
        def before_signup(self):
            raise Refused("closed", "Please come back.", field="email")

    with pytest.raises(Vetoed) as caught:
        run(make_host({"vetoes": Vetoes()}), "signup", email=ANN, password=PASSWORD)
    assert caught.value.fields["field"] == "email"


def test_no_transaction_and_no_hashing_slot(make_host, run, checks):
    host = make_host({"checks": checks}, max_concurrent_hashes=1, password_hash_wait=30)

    def action(request, password):
        assert request.clean
        with pytest.raises(RuntimeError, match=r"request\.host\.reader"):
            _ = request.db
        with request.host.reader.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
        other = threading.Thread(target=host.services.passwords.verify, args=("x", None))
        other.start()
        other.join(20)
        assert not other.is_alive()

    checks.action = action
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    run(host, "change_password", token, current_password=PASSWORD, new_password=OTHER_PASSWORD)
    assert host.plugin_stats()["checks", "check_password"].failures == 0


def in_its_error(request, password):
    raise ValueError(f"cannot check {password!r}")


def in_the_cause(request, password):
    try:
        raise LookupError(password)
    except LookupError as error:
        raise RuntimeError("cannot check") from error


def in_a_refusal(request, password):
    raise Refused("not_this", f"{password} is not allowed.")


def in_a_code(request, password):
    raise Refused(password, "Choose another one.")


def in_a_field(request, password):
    raise Refused("not_this", "Choose another one.", field=password)


def in_the_cause_of_a_refusal(request, password):
    try:
        raise LookupError(password)
    except LookupError as error:
        raise Refused("not_this", "Choose another one.") from error


@pytest.mark.parametrize(
    "action",
    [
        in_its_error,
        in_the_cause,
        in_a_refusal,
        in_a_code,
        in_a_field,
        in_the_cause_of_a_refusal,
    ],
)
def test_a_plugin_cannot_leak_the_password(make_host, run, recorder, checks, action, capsys, caplog):
    caplog.set_level(logging.DEBUG)
    host = make_host({"checks": checks}, trace=True)
    checks.action = action
    with pytest.raises(Vetoed) as caught:
        run(host, "signup", email=ANN, password=PASSWORD)
    error = caught.value
    shown = "".join(traceback.format_exception(error)) + repr(error) + str(dict(error.fields))
    assert error.__cause__ is None
    assert error.__context__ is None
    assert PASSWORD not in shown
    [(_, refused)] = [each for each in recorder.calls if each[0] == "flow_refused"]
    assert PASSWORD not in str(dict(refused["error"].fields))
    assert PASSWORD not in caplog.text
    written = capsys.readouterr().err
    assert "check_password(password=***, user=None)" in written
    assert PASSWORD not in written


def test_a_veto_that_returns_something_refuses(make_host, run, caplog):
    class Returns:
        @hookimpl
        def check_password(self, password):
            return password

    with pytest.raises(Vetoed) as caught:
        run(make_host({"returns": Returns()}), "signup", email=ANN, password=PASSWORD)
    assert caught.value.fields == {"plugin_code": "plugin_failed", "plugin": "returns"}
    assert "a veto raises Refused" in caplog.text
    assert PASSWORD not in caplog.text
