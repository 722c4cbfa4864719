"""The readings app."""

import os

from django.apps import AppConfig


class ReadingsConfig(AppConfig):
    """What a reading is, where readings come from, where they are stored, and how to request them."""

    name = "readings"

    def ready(self) -> None:
        """Register the system checks, and let Polars read Parquet files with any time zone."""
        # Otherwise a zone such as +05:45 makes Polars panic, which is not an ordinary exception in Python.
        os.environ.setdefault("POLARS_IGNORE_TIMEZONE_PARSE_ERROR", "1")
        import readings.checks  # noqa: F401 (Django only runs the checks of imported modules)
