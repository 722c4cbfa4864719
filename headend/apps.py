"""The app of the deployment, and configurations of two libraries: Django's admin and django-axes."""

from axes.apps import AppConfig as AxesConfig
from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig


class HeadendConfig(AppConfig):
    """Commands, system checks and pages that concern the whole deployment."""

    name = "headend"
    default = True

    def ready(self) -> None:
        """Register the system checks."""
        import headend.config.checks  # noqa: F401 (registers itself when imported)


class HeadendAdminConfig(SimpleAdminConfig):
    """Django's admin with the site :class:`headend.admin_site.HeadendAdminSite`.

    Django's default configuration loads every app's admin in each process. Here only ``headend.urls`` loads them.
    """

    default_site = "headend.admin_site.HeadendAdminSite"


class LoginAttemptsConfig(AxesConfig):  # type: ignore[misc] # axes ships no types
    """django-axes, which counts failed logins. Operators see this name in the admin."""

    verbose_name = "Login attempts"
