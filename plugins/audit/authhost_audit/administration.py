"""What an administrator sees of the trail: the history of one user, with filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from authhost_hookspecs import (
    AdminPage,
    AdminPanel,
    Choice,
    Field,
    Form,
    Link,
    Page,
    Refused,
    Request,
    Row,
    Section,
    User,
    Values,
)

from authhost_audit.authentications import AUTHENTICATIONS, as_text
from authhost_audit.languages import N_, Gettext, gettext_of
from authhost_audit.rows import all_rows
from authhost_audit.search import Query, Record, record_of
from authhost_audit.tables import event_table
from authhost_audit.vocabulary import EVENTS

PATH = "/history"
NEWEST, LIMIT = 10, 50
"""How many records the section and a page show."""
OUTCOMES = (
    Choice("", N_("All")),
    Choice("success", N_("Success")),
    Choice("refused", N_("Refused")),
    Choice("failed", N_("Failed")),
)
EVENT = Field(
    "event",
    N_("Event"),
    "select",
    required=False,
    choices=(Choice("", N_("All")), *(Choice(each, each) for each in sorted(EVENTS))),
)
OUTCOME = Field("outcome", N_("Outcome"), "select", required=False, choices=OUTCOMES)
BEFORE = Field("before", type="hidden", required=False, max_length=36)


def show(request: Request, user: User) -> Section | None:
    """Show the newest records about a user, or by the user."""
    gettext = gettext_of(request)
    found = _records(request, Query(user_id=user.id), None, NEWEST)
    text = () if found else (gettext("There is no record."),)
    links = (
        Link(gettext("All records"), PATH),
        Link(gettext("Only refusals"), f"{PATH}?{urlencode({'outcome': 'refused'})}"),
    )
    return Section(gettext("History"), text, _rows(found, user, gettext), links=links)


def show_history(request: Request, user: User, values: Values) -> Page:
    """Show a page of the records, the newest first, and the form with the filters."""
    gettext = gettext_of(request)
    event, outcome = (str(values[name]) or None for name in ("event", "outcome"))
    query = Query(user_id=user.id, event=event, outcome=outcome)
    found = _records(request, query, _before(values), LIMIT + 1)
    shown, links = found[:LIMIT], list[Link]()
    if len(found) > LIMIT:
        wanted = {"event": event, "outcome": outcome, "before": shown[-1]["id"]}
        older = urlencode({name: value for name, value in wanted.items() if value})
        links.append(Link(gettext("Older records"), f"{PATH}?{older}"))
    fields = tuple(_field(each, values, gettext) for each in (EVENT, OUTCOME))
    search = Form(PATH, gettext("Search"), fields, search=True)
    text = () if shown else (gettext("There is no record."),)
    records = Section(gettext("Records"), text, _rows(shown, user, gettext), links=tuple(links))
    return Page(
        "audit_history",
        gettext("History"),
        (user.email or user.username or str(user.id),),
        sections=(Section(gettext("Search"), forms=(search,)), records),
    )


def _records(request: Request, query: Query, before: UUID | None, limit: int) -> Sequence[Record]:
    also = () if before is None else (event_table.c.id < before,)
    rows = all_rows(request.db.connection(), query.statement("newest first", limit, *also))
    return [record_of(each) for each in rows]


def _rows(records: Sequence[Record], user: User, gettext: Gettext) -> tuple[Row, ...]:
    return tuple(
        Row(each["event"], _details(each, user, gettext), (_outcome(each, gettext),)) for each in records
    )


def _details(record: Record, user: User, gettext: Gettext) -> tuple[str, ...]:
    data = dict(record["data"])
    actor, methods = data.pop("actor", None), data.pop(AUTHENTICATIONS, None)
    lines = [f"{record['time'][:19].replace('T', ' ')} UTC"]
    if record["reason"] or data.get("reason"):
        lines.append(gettext("Reason: %(reason)s", reason=record["reason"] or data["reason"]))
    by: Any = f"{actor['kind']} {actor['name']}" if actor else record["actor_id"]
    if by and by != str(user.id):
        lines.append(gettext("By: %(actor)s", actor=by))
    if record["user_id"] and record["user_id"] != str(user.id):
        lines.append(gettext("Account: %(id)s", id=record["user_id"]))
    words = (
        [as_text(methods)] if methods else [record[name] for name in ("method", "provider") if record[name]]
    )
    if words:
        lines.append(", ".join(words))
    if record["ip_address"]:
        lines.append(gettext("IP address: %(address)s", address=record["ip_address"]))
    return tuple(lines)


def _outcome(record: Record, gettext: Gettext) -> str:
    labels = {each.value: each.label for each in OUTCOMES}
    found = labels.get(record["outcome"])
    return gettext(found) if found else str(record["outcome"])


def _field(field: Field, values: Values, gettext: Gettext) -> Field:
    choices = tuple(Choice(each.value, gettext(each.label)) for each in field.choices)
    label, value = gettext(field.label), str(values[field.name])
    return replace(field, label=label, value=value, choices=choices)


def _before(values: Values) -> UUID | None:
    try:
        return UUID(str(values["before"])) if values["before"] else None
    except ValueError:
        raise Refused("not_a_record", "before must be the identifier of a record.") from None


PANEL = AdminPanel(show, pages=(AdminPage(PATH, show_history, (EVENT, OUTCOME, BEFORE)),))
