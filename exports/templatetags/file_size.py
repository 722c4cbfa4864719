"""The size of a file as text, for the pages of the portal and the admin."""

from __future__ import annotations

from django import template

_UNITS = ("kB", "MB", "GB", "TB")

register = template.Library()


@register.filter
def file_size(size: int | None) -> str:
    """Return a number of bytes as text, such as ``11.7 MB`` for 11,711,194. A MB has 1,000,000 bytes.

    Django's own filter divides by 1,048,576 and writes MB nevertheless.
    """
    if not size or size < 1000:
        return f"{size or 0}\xa0byte{'' if size == 1 else 's'}"
    value, units = size / 1000, list(_UNITS)
    # Not 1000.0 kB, which is 1.0 MB.
    while round(value, 1) >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:,.1f}\xa0{units[0]}"
