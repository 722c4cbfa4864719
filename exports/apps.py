"""The exports app."""

from django.apps import AppConfig


class ExportsConfig(AppConfig):
    """What a supplier asked to have as a file, and how it reaches them."""

    name = "exports"
    default_auto_field = "django.db.models.BigAutoField"
