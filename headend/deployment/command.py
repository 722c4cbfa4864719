"""The base class of commands that report a wrong setting in one line."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from headend.config.checks import refuse_wrong_settings


class DeploymentCommand(BaseCommand):
    """A management command that starts or sets up a deployment."""

    def check(self, *args: Any, **kwargs: Any) -> None:
        """Run the system checks.

        Raises ``ImproperlyConfigured`` for an error in the settings, which ``manage.py`` prints as one line.
        """
        refuse_wrong_settings()
        super().check(*args, **kwargs)
