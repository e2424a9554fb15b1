"""Old name of `authhost_audit.search` and `authhost_audit.export`. Removed in 0.3."""

import warnings

from authhost_audit.export import as_csv, as_json, as_ocsf, as_owasp, csv_header
from authhost_audit.search import COLUMNS, Query, Record, count, find_users, reason_exists, record_of, search

knows_reason = reason_exists
shown = record_of
users = find_users
__all__ = [
    "COLUMNS",
    "Query",
    "Record",
    "as_csv",
    "as_json",
    "as_ocsf",
    "as_owasp",
    "count",
    "csv_header",
    "knows_reason",
    "search",
    "shown",
    "users",
]

warnings.warn(
    "authhost_audit.reading is now authhost_audit.search and authhost_audit.export; "
    "the old name is removed in authhost-audit 0.3",
    DeprecationWarning,
    stacklevel=2,
)
