"""Check that what a plugin stores about a user is deleted with the account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from authhost_hookspecs import PluginTables

from authhost.records import User
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.runs import ScenarioRun
from authhost.testing.scenario import ANN

Row = dict[str, Any]
USERNAME = "the username"


def personal(context: CheckContext) -> Iterator[Fault]:
    """What it stores about a user is deleted with the account (`user_deleted`), and can be exported."""
    run, hooks = context.with_plugin, context.checked.implementations
    if run.deleted is None:
        return
    has_hook = "user_deleted" in hooks
    texts = _personal_texts(run.deleted)
    if not has_hook:
        texts[ANN] = "an address"  # a former one, which `user_deleted` does not get
    retained = _retained(hooks)
    stored = False
    for table, before in run.rows_before_deletion.items():
        stored = stored or any(True for row in before for _ in _personal(row, texts))
        if table in retained:
            continue
        after = run.rows.get(table, [])
        left = [row for row in after if row in before]
        for column, what in sorted({each for row in left for each in _personal(row, texts)}):
            missing = "delete" if has_hook else "implement user_deleted and delete"
            yield Fault(
                f"{what} is still in {table}.{column} after the account was deleted; {missing} these rows, "
                f"or name the table and the reason in PluginTables(retained=…)",
                "user_deleted" if has_hook else "register_tables",
            )
        new = [row for row in after if row not in before]
        for column, what in sorted({each for row in new for each in _personal(row, texts)}):
            yield Fault(
                f"{what} was written to {table}.{column} while the account was deleted, and stays there; "
                "rows of request.insert are written after user_deleted: delete them in request.on_commit",
                "user_deleted" if has_hook else "register_tables",
                note=True,
            )
    yield from _rows_of_others(run, texts)
    users = [call.arguments["user"] for call in run.calls if isinstance(call.arguments.get("user"), User)]
    of_all = {text: what for user in users for text, what in _personal_texts(user).items()}
    for name, values in sorted(run.labels.items()):
        for label in sorted({_what_is(value, of_all) for value in values} - {None}, key=str):
            yield Fault(
                f"{label} is in the label {name} of a metric, which the monitoring system keeps, and which "
                "makes a series for each; leave the label out, or group its values",
                "register_metrics",
            )
    if stored and "export_user" not in hooks:
        yield Fault(
            "stores personal data without export_user, so the export of an account lacks it",
            "register_tables",
            note=True,
        )


def _personal_texts(user: User) -> dict[str, str]:
    """The texts by which a row shows that it is about a user, each with what it is."""
    texts = {str(user.id): "the user's id", user.id.hex: "the user's id"}
    texts |= {user.email: "an address"} if user.email else {}
    return texts | ({user.username: USERNAME} if user.username else {})


def _what_is(value: str, texts: Mapping[str, str]) -> str | None:
    return next(
        (what for text, what in texts.items() if text == value or value == text.replace("-", "")), None
    )


def _retained(hooks: Mapping[str, Any]) -> Mapping[str, str]:
    """The reasons for the tables that the plugin keeps on purpose."""
    declared = hooks["register_tables"]() if "register_tables" in hooks else None
    return declared.retained if isinstance(declared, PluginTables) else {}


def _personal(row: Row, texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for column, value in row.items():
        text = value.hex() if isinstance(value, bytes) else str(value)
        for personal_text, what in texts.items():
            # A username may be a part of many words.
            if personal_text == text if what == USERNAME else personal_text in text:
                yield column, what


def _rows_of_others(run: ScenarioRun, texts: Mapping[str, str]) -> Iterator[Fault]:
    """Rows of other users that ``user_deleted`` has deleted."""
    emptied = {table for call in run.calls if call.hook == "user_deleted" for table in call.emptied_tables}
    for table in sorted(emptied):
        if any(not any(_personal(row, texts)) for row in run.rows_before_deletion.get(table, ())):
            yield Fault(
                f"deletes all rows of {table}, also those of other users; add a condition with user.id",
                "user_deleted",
            )
