"""Check that what a plugin stores about a user is deleted with the account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.report import Fault
from authhost.testing.scenario import ANN, SECOND


def personal(context: CheckContext) -> Iterator[Fault]:
    """What it stores about a user is deleted with the account (`user_deleted`), and can be exported."""
    run, hooks = context.with_plugin, context.checked.implementations
    if run.deleted is None:
        return
    forms = {
        "the user's id": {str(run.deleted.id), run.deleted.id.hex},
        "an address": {ANN, SECOND},
    }
    stored = False
    for table, rows in run.rows_before_deletion.items():
        found = sorted({each for row in rows for each in _personal(row, forms)})
        stored = stored or bool(found)
        left = [row for row in run.rows.get(table, ()) if row in rows]
        for column, what in sorted({each for row in left for each in _personal(row, forms)}):
            missing = "implement user_deleted and delete" if "user_deleted" not in hooks else "delete"
            yield Fault(
                f"{what} is still in {table}.{column} after the account was deleted; {missing} these rows",
                "user_deleted" if "user_deleted" in hooks else "register_tables",
                # A plugin with the hook has decided what it keeps, such as an audit trail.
                note="user_deleted" in hooks,
            )
    if stored and "export_user" not in hooks:
        yield Fault(
            "stores personal data without export_user, so the export of an account lacks it",
            "register_tables",
            note=True,
        )


def _personal(row: dict[str, Any], forms: dict[str, set[str]]) -> Iterator[tuple[str, str]]:
    for column, value in row.items():
        text = value.hex() if isinstance(value, bytes) else str(value)
        for what, texts in forms.items():
            if any(each in text for each in texts):
                yield column, what
