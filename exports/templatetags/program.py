"""The program with which users start commands, for pages that show a command."""

from __future__ import annotations

from django import template

from headend.config.program import PROGRAM

register = template.Library()


@register.simple_tag
def program() -> str:
    """Return ``python manage.py`` or ``headend``."""
    return PROGRAM
