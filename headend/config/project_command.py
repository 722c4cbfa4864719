"""The base class of the project's management commands."""

from __future__ import annotations

from django.conf import settings
from django.core.management.base import BaseCommand

from headend.config.checks import TAG


class ProjectCommand(BaseCommand):
    """Runs the checks of settings before it starts.

    Django's other checks are about the code. They would import the whole web application, which takes longer than many
    commands. ``manage.py check`` runs them.
    """

    requires_system_checks = [TAG]

    def get_version(self) -> str:
        """Return the version of headend, which ``--version`` prints, and not that of Django."""
        # This layer may not import the package headend, which has the version.
        return str(settings.SPECTACULAR_SETTINGS["VERSION"])
