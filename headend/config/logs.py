"""What the processes log: one JSON object per line on standard error."""

from __future__ import annotations

from typing import Any


def logging_settings(level: str) -> dict[str, Any]:
    """Return ``LOGGING``; the loggers of this project write records of ``level`` and above."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
                "rename_fields": {"asctime": "at", "levelname": "level", "name": "logger"},
            }
        },
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
            # The response tells the caller about a bad request; the log has only errors of the server.
            "django.request": {"level": "ERROR"},
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            # Port scans and broken handshakes are no errors of this server; SFTP sessions are logged anyway.
            "paramiko": {"level": "CRITICAL"},
        },
    }
