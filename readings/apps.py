"""The readings app."""

from django.apps import AppConfig


class ReadingsConfig(AppConfig):
    """What a reading is, where readings come from, where they are kept, how they are asked for."""

    name = "readings"
