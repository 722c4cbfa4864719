"""The deployment as a Django app, so that Django finds its commands and checks."""

from django.apps import AppConfig


class HeadendConfig(AppConfig):
    """Commands, system checks and pages that concern the whole deployment."""

    name = "headend"

    def ready(self) -> None:
        """Register the system checks."""
        import headend.config.checks  # noqa: F401 (registers itself when imported)
