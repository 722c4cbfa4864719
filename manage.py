#!/usr/bin/env python
"""The management commands of the project: ``python manage.py help`` lists them."""

from __future__ import annotations

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from headend.config.text_encoding import print_every_character, restart_in_utf8_mode


def main() -> None:
    """Run a management command. A wrong setting ends it with one line on standard error."""
    print_every_character()
    restart_in_utf8_mode()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "headend.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"headend: {error}")


if __name__ == "__main__":
    main()
