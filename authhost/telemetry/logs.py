"""Log records with the id of the request, and as JSON, for authhost and for applications."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from authhost.telemetry.current import request_id

FIELDS = ("request_id", "plugin", "hook", "at", "error")
"""What a record has beside its message, if it is about a request or a plugin.

``at`` is the file and the line in the plugin, ``error`` the class of its error.
"""


class RequestIdFilter(logging.Filter):
    """Adds ``request_id`` to each record: the id of the unit of work that runs, or ``-``.

    For a formatter such as ``"%(levelname)s %(message)s (request %(request_id)s)"``.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True: no record is left out."""
        if not hasattr(record, "request_id"):
            record.request_id = request_id() or "-"
        return True


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON: ``time`` (UTC), ``level``, ``logger``, ``message``, `FIELDS`.

    Other values of ``extra`` are left out: they may be secret. A record with an exception
    has its traceback in ``exception``.
    """

    def format(self, record: logging.LogRecord) -> str:
        values: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in FIELDS:
            value = getattr(record, name, None)
            if name == "request_id" and value is None:
                value = request_id()
            if value is not None and value != "-":
                values[name] = str(value)
        if record.exc_info:
            values["exception"] = self.formatException(record.exc_info)
        return json.dumps(values)


def json_config(level: str = "INFO") -> dict[str, Any]:
    """Return the configuration for `logging.config.dictConfig`: all records on standard error, as JSON."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        # gunicorn gives it a handler of its own.
        "loggers": {"gunicorn.error": {"handlers": [], "level": level, "propagate": True}},
    }
