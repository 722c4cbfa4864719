"""The deployment as a Django app, so that Django finds its commands and checks; and the admin with the deployment's site."""

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
    """Django's admin, with a site that checks more.

    Django's default configuration loads every app's admin in each process. Here headend.urls loads them.
    """

    default_site = "headend.admin_site.HeadendAdminSite"


class LoginAttemptsConfig(AxesConfig):  # type: ignore[misc] # axes ships no types
    """The library that counts failed logins, with a name that operators understand in the admin."""

    verbose_name = "Login attempts"
