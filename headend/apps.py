"""The project as an app, so that its commands and checks are found."""

from django.apps import AppConfig


class HeadendConfig(AppConfig):
    """Commands and checks about the deployment as a whole."""

    name = "headend"
