"""The log of each process: one JSON object per line on standard error."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

_OWN_FIELDS = {"asctime": "at", "levelname": "level", "name": "logger", "message": "message"}
"""The fields of every line: the attribute of Python's log record, and the name in the line."""
_OWN_NAMES = {*_OWN_FIELDS.values()}
_STANDARD_ATTRIBUTES = {*RESERVED_ATTRS, *_OWN_FIELDS}
"""The attributes that every log record has. All other attributes are fields of the log call."""
_TRACE = "trace"
"""Set for every record by :class:`headend.trace.TraceFilter`."""


def conflicting(names: Iterable[str]) -> set[str]:
    """Return those of ``names`` that a log call must not use in ``extra``.

    Python raises ``KeyError`` for the attributes of its log records. The other names are fields of every line.
    """
    return {*names} & {*RESERVED_ATTRS, *_OWN_FIELDS.values(), _TRACE}


class LineFormatter(JsonFormatter):
    """Writes a record as a line of JSON. Fields of the log call never replace the fields of every line."""

    def __init__(self) -> None:
        super().__init__(
            " ".join(f"%({attribute})s" for attribute in _OWN_FIELDS), rename_fields=_OWN_FIELDS
        )

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """Add the fields of the log call to ``log_data``. A name that every line has gets the prefix ``extra_``."""
        # The library's method takes twice as long for the log line of a page.
        attributes = record.__dict__
        for attribute, name in _OWN_FIELDS.items():
            log_data[name] = attributes.get(attribute)
        fields = {
            name: value
            for name, value in attributes.items()
            if name not in _STANDARD_ATTRIBUTES and not name.startswith("_")
        }
        for name, value in (message_dict | fields).items():
            log_data[f"extra_{name}" if name in _OWN_NAMES else name] = value


def logging_settings(level: str) -> dict[str, Any]:
    """Return ``LOGGING``; the loggers of this project write records of ``level`` and above."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "headend.config.logs.LineFormatter"}},
        "filters": {"trace": {"()": "headend.trace.TraceFilter"}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["trace"]}
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            **{
                name: {"level": level, "handlers": ["stderr"], "propagate": False}
                for name in ("headend", "readings", "exports")
            },
            # gunicorn's own lines: at its start, and about worker processes that end.
            "gunicorn.error": {"level": "WARNING", "handlers": ["stderr"], "propagate": False},
            # The response tells the caller about a bad request; the log has only errors of the server.
            "django.request": {"level": "ERROR"},
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            # Port scans and broken handshakes are not errors of this server. headend logs SFTP sessions itself.
            "paramiko": {"level": "CRITICAL"},
        },
    }
