"""The sessions of a user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authhost_hookspecs import PageMessage, Values

from authhost.web import fields
from authhost.web.endpoint import Endpoint, Outcome, Reader
from authhost.web.inputs import uuid_of
from authhost.web.schemas import session_json
from authhost.web.visit import Visit


def end(visit: Visit, values: Values) -> Outcome:
    visit.web.host.account.end_session(visit.request, uuid_of(values))
    text = visit.gettext("The session has ended.")
    page = "/sessions" if visit.request.user is not None else "/login"
    return Outcome(to=page, message=PageMessage("success", text, "session_ended"))


def end_others(visit: Visit, values: Values) -> Outcome:
    count = visit.web.host.account.end_other_sessions(visit.request)
    text = visit.gettext("All other sessions have ended.")
    return Outcome({"ended": count}, to="/sessions", message=PageMessage("success", text, "sessions_ended"))


def list_all(visit: Visit) -> Mapping[str, Any]:
    current = visit.request.session
    found = visit.web.host.account.list_sessions(visit.request)
    return {"sessions": [session_json(each, current) for each in found]}


ENDPOINTS = [
    Endpoint(
        path="/sessions/end",
        summary="End a session of the account. Ending the current one is a logout.",
        run=end,
        page="/sessions",
        fields=(fields.ID,),
        refusals=("session_not_found",),
        login=True,
    ),
    Endpoint(
        path="/sessions/end-others",
        summary="End all other sessions of the account.",
        run=end_others,
        page="/sessions",
        result="Ended",
        login=True,
    ),
]
READERS = [
    Reader(
        path="/sessions",
        summary="List the sessions of the account.",
        run=list_all,
        result="Sessions",
        login=True,
    )
]
