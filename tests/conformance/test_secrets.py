"""The suite reports secrets that are stored, logged or printed."""

from __future__ import annotations

import base64
import logging
import os
import sys
import tempfile
from pathlib import Path

import pytest
from authhost_hookspecs import Message, Request, SocialLogin, hookimpl

from authhost.testing.conformance.runner import run_check
from conformance.plugins import WithTable, ids_of, notes

log = logging.getLogger(__name__)
FILE = Path(tempfile.gettempdir()) / f"authhost-secrets-{os.getpid()}.txt"


@pytest.fixture(autouse=True)
def removed_file():
    yield
    FILE.unlink(missing_ok=True)


class StoresToken(WithTable):
    @hookimpl
    def pre_social_login(self, request: Request, sociallogin: SocialLogin) -> None:
        assert sociallogin.token is not None
        request.insert(notes, {"text": sociallogin.token.reveal()[:200]})


class StoresSession(WithTable):
    @hookimpl
    def user_logged_in(self, request):
        request.insert(notes, {"text": request.session_token})


class StoresGiven(WithTable):
    @hookimpl
    def account_ready(self, request):
        request.insert(notes, {"text": request.given.get("invitation")})


class LogsGiven:
    @hookimpl
    def pre_social_login(self, request: Request) -> None:
        log.info("came with %s", dict(request.given))


class LogsNamesOfGiven:
    @hookimpl
    def user_signed_up(self, request: Request) -> None:
        log.info("came with %s", request.given)


class LogsKey:
    @hookimpl
    def deliver_message(self, message: Message) -> bool:
        log.info("sending %s", message.link)
        return True


class PrintsKey:
    @hookimpl
    def deliver_message(self, message: Message) -> bool:
        print(message.key)
        return True


class PrintsSecretKey:
    @hookimpl
    def host_started(self, host):
        print(host.settings.secret_key)


class RaisesWithToken:
    @hookimpl
    def user_logged_in(self, request):
        raise ValueError(f"no such session: {request.session_token}")


class StoresEncodedToken(WithTable):
    """Stores a token in base64, which protects nothing."""

    @hookimpl
    def user_logged_in(self, request):
        request.insert(notes, {"text": base64.b64encode(request.session_token.encode()).decode()})


class WritesTokenToFile:
    @hookimpl
    def social_account_added(self, request, sociallogin):
        token = sociallogin.token.reveal()
        request.on_commit(lambda: FILE.write_text(token))


class WritesMailToFile:
    """Delivers into a file, as in development."""

    @hookimpl
    def deliver_message(self, request, message):
        request.on_commit(lambda: FILE.write_text(str(message.key)))


class StoresLink(WithTable):
    @hookimpl
    def deliver_message(self, request, message):
        request.insert(notes, {"user_id": None, "text": str(message.link)})


class SealsLink(WithTable):
    @hookimpl
    def deliver_message(self, request, message):
        request.insert(notes, {"user_id": None, "text": request.seal(str(message.link), "test")})


class LogsPartOfKey:
    @hookimpl
    def deliver_message(self, message):
        if message.key:
            log.info("the key begins with %s", message.key[:12])


class LogsTokenAsExtra:
    @hookimpl
    def social_account_added(self, sociallogin):
        log.info("connected", extra={"token": sociallogin.token.reveal()})


class PrintsEncodedToken(WithTable):
    @hookimpl
    def user_logged_in(self, request):
        encoded = base64.b64encode(f"token={request.session_token};".encode())
        request.on_commit(lambda: print(encoded, file=sys.stderr))


FAULTS = [
    (StoresToken, "secrets", "a provider's token is stored in authhost_faulty_note.text"),
    (StoresSession, "secrets", "a session token is stored in authhost_faulty_note.text"),
    (StoresGiven, "secrets", "a text of request.given is stored in authhost_faulty_note.text"),
    (LogsGiven, "secrets", "a text of request.given is logged"),
    (LogsKey, "secrets", "the key of a message is logged"),
    (PrintsKey, "secrets", "the key of a message is printed"),
    (PrintsSecretKey, "secrets", "the secret key is printed"),
    (StoresEncodedToken, "secrets", "a session token is stored in authhost_faulty_note.text"),
    (RaisesWithToken, "secrets", "user_logged_in: a session token is in the text of an error"),
    (WritesTokenToFile, "secrets", f"a provider's token is written to {FILE}"),
    (LogsPartOfKey, "secrets", "the key of a message is logged"),
    (LogsTokenAsExtra, "secrets", "a provider's token is logged"),
    (PrintsEncodedToken, "secrets", "a session token is printed"),
]


LOCATED = {LogsGiven, LogsKey, LogsPartOfKey, LogsTokenAsExtra, WritesTokenToFile}
"""Their faults name no hook, but the line that logs or writes."""


@pytest.mark.parametrize(("plugin", "check", "message"), FAULTS, ids=ids_of(FAULTS))
def test_fault_is_reported(assert_fault, plugin, check, message):
    assert_fault(plugin(), check, message, located=plugin in LOCATED)


def test_report_contains_no_secret(new_context):
    context = new_context(RaisesWithToken())
    context.with_plugin  # noqa: B018
    faults = [fault for name in ("failures", "secrets") for fault in run_check(name, context).faults]
    text = " ".join(map(str, faults))
    assert "[a session token]" in text
    assert not [kind for secret, kind in context.with_plugin.secrets.items() if secret in text]


def test_delivery_into_a_file_is_a_note(new_context):
    verdict = run_check("secrets", new_context(WritesMailToFile()))
    assert (verdict.outcome, [fault.note for fault in verdict.faults]) == ("passed", [True])


def test_stored_link_of_a_delivery_is_a_note_that_names_seal(new_context):
    verdict = run_check("secrets", new_context(StoresLink()))
    assert verdict.outcome == "passed"
    assert [fault.note for fault in verdict.faults] == [True]
    assert "seal it with request.seal" in str(verdict.faults[0])


def test_sealed_link_is_no_fault(new_context):
    assert run_check("secrets", new_context(SealsLink())).faults == ()


def test_the_names_of_what_was_given_are_no_secret(new_context):
    assert run_check("secrets", new_context(LogsNamesOfGiven())).faults == ()
