"""The project as an app, so that its commands and checks are found."""

from django.apps import AppConfig


class HeadendConfig(AppConfig):
    """Commands and checks about the deployment as a whole."""

    name = "headend"

    def ready(self) -> None:
        """Register the checks."""
        from headend.config import checks  # noqa: F401 (they read models, which are loaded by now)
