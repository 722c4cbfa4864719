"""The exports app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ExportsConfig(AppConfig):
    """File requests of suppliers, the files made for them, and how suppliers receive these."""

    name = "exports"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks, and apply the roles after each migration."""
        import exports.checks  # noqa: F401 (Django only runs the checks of imported modules)
        from exports.roles import apply_roles

        post_migrate.connect(apply_roles, sender=self)
