"""Deletion of an account and copies of a user's records."""

from __future__ import annotations

import pytest
from authhost_hookspecs import FlowError
from conftest import PASSWORD

from audit.trail import ANN, named, records, seal_all, violations
from authhost.errors import InvalidCredentials


def change(host, name, *args):
    with host.request(ip_address="192.0.2.9") as request:
        return getattr(request.accounts, name)(*args)


def test_the_trail_stays_when_the_account_is_deleted(make, run):
    host = make(email_verification="none")
    ann = run(host, "signup", email=ANN, password=PASSWORD).user
    change(host, "deactivate", ann.id)
    change(host, "reactivate", ann.id)
    change(host, "remove_password", ann.id)
    assert named(host, "password_removed")["user_id"] == str(ann.id)
    seal_all(host)
    kept = len(records(host, user_id=ann.id))
    change(host, "delete", ann.id)
    assert named(host, "user_reactivated")["user_id"] == str(ann.id)
    assert named(host, "user_deleted")["user_id"] == str(ann.id)
    assert len(records(host, user_id=ann.id)) == kept + 1
    assert violations(host) == []


def test_export_has_the_network_of_the_user_only(make, run):
    host = make(email_verification="none")
    ann = run(host, "signup", email=ANN, password=PASSWORD)
    with host.request(ip_address="198.51.100.7") as request, pytest.raises(InvalidCredentials):
        host.account.login(request, identifier=ANN, password="wrong " + PASSWORD)
    run(host, "end_other_sessions", ann.session_token)
    run(host, "logout", ann.session_token)
    found = change(host, "export", ann.user.id)["plugins"]["audit"]["events"]
    assert [each["event"] for each in found][-2:] == ["flow_refused", "user_logged_out"]
    refused, logged_out = found[-2:]
    assert "ip_address" not in refused
    assert refused["reason"] == "invalid_credentials"
    assert logged_out["ip_address"] == "127.0.0.1"
    assert found[0]["time"] == host.now.isoformat()


def test_a_refused_administrative_change_has_a_record(make, run):
    host = make(email_verification="none")
    ann = run(host, "signup", email=ANN, password=PASSWORD).user
    with pytest.raises(FlowError):
        change(host, "remove_email", ann.id, ANN)
    record = named(host, "flow_refused")
    assert (record["flow"], record["reason"]) == ("accounts_remove_email", "primary_email_required")
    assert record["user_id"] == str(ann.id)
