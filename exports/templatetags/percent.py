"""Percentages as text, for the pages of the portal and the admin."""

from __future__ import annotations

from django import template

register = template.Library()


@register.filter
def percent(number: float) -> str:
    """Return a number of percent with one decimal, such as ``99.9 %``."""
    return f"{number:.1f} %"


@register.filter
def share(part: float) -> str:
    """Return a share from 0 to 1 in percent. Rounded down, so that only a complete share is ``100.0 %``."""
    return percent(int(round(1000 * part, 6)) / 10)
