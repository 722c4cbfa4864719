"""The exports app."""

from django.apps import AppConfig


class ExportsConfig(AppConfig):
    """What a supplier asked to have as a file, and how it reaches them."""

    name = "exports"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Tell the schema how suppliers log in."""
        import exports.schema  # noqa: F401 (registers itself)
