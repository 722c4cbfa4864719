"""The readings app."""

from django.apps import AppConfig


class ReadingsConfig(AppConfig):
    """What a reading is, where readings come from, where they are stored, and how to request them."""

    name = "readings"

    def ready(self) -> None:
        """Register the system checks."""
        import readings.checks  # noqa: F401 (Django only runs the checks of imported modules)
