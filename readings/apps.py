"""The readings app."""

from django.apps import AppConfig


class ReadingsConfig(AppConfig):
    """What a reading is, where readings come from, where they are stored, and how to request them."""

    name = "readings"

    def ready(self) -> None:
        """Register the system checks, and how the OpenAPI schema describes the fields of ``readings.parameters``."""
        import readings.checks
        import readings.schema  # noqa: F401 (both register themselves)
