"""Help for assertions about HTML."""

from __future__ import annotations

import re

from django.test import Client


def collapse_spaces(html: str) -> str:
    """Return HTML with each run of spaces and line breaks replaced by one space, as a browser shows it."""
    return re.sub(r"[ \n]+", " ", html)


def get_page(browser: Client, path: str) -> str:
    """Return the HTML of a page that must answer 200, with spaces collapsed."""
    answer = browser.get(path)
    assert answer.status_code == 200
    return collapse_spaces(answer.content.decode())
