"""A file with one good row, and a function that loads a file."""

from __future__ import annotations

from io import StringIO

from django.core.management import call_command

METER = "0001b33e-0898-33a6-ac1d-82b59b904034"
HEADER = "time,device_id,load,crrnt,pf,kva,kw,vltg"
GOOD = f"2023-02-27 16:00,{METER},18,88.926,0.918,19.257,17.674,0.217"


def load(*arguments: object) -> str:
    """Run ``manage.py load`` and return what it prints."""
    out = StringIO()
    call_command("load", *map(str, arguments), stdout=out)
    return out.getvalue()
