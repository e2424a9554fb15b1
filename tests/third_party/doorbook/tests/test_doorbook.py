"""Tests of the lines in the file."""

from __future__ import annotations

import json

import pytest
from doorbook import plugin

from authhost import AuthHostError
from authhost.testing import PASSWORD

ANN = "ann@example.org"


@pytest.fixture
def authhost_plugins():
    return {"doorbook": plugin}


@pytest.fixture
def authhost_settings():
    return {"email_verification": "optional"}


@pytest.fixture
def book(tmp_path, monkeypatch):
    """Reads the lines that were written so far."""
    path = tmp_path / "book.jsonl"
    monkeypatch.setenv("DOORBOOK", str(path))

    def read():
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    return read


def test_each_signal_of_a_signup_is_a_line_with_the_same_request(run_flow, book):
    run_flow("signup", email=ANN, password=PASSWORD)
    lines = book()
    assert [line["signal"] for line in lines] == [
        "user_signed_up",
        "email_confirmation_sent",
        "user_logged_in",
    ]
    assert len({line["request"] for line in lines}) == 1
    assert lines[0]["user"] == lines[1]["confirmation"] == ANN


def test_refused_and_rolled_back_flows_write_nothing(auth_host, run_flow, book):
    with pytest.raises(AuthHostError):
        run_flow("login", identifier=ANN, password=PASSWORD)
    with pytest.raises(ZeroDivisionError), auth_host.request() as request:
        auth_host.account.signup(request, email=ANN, password=PASSWORD)
        raise ZeroDivisionError
    assert book() == []
