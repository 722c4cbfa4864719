"""The findings of checks, and the function that runs all checks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.db import connection

TIME_LIMIT_SECONDS = 30.0
_SHORT = 4
"""Shorter passwords are not replaced in texts, because they may be parts of other words."""

log = logging.getLogger(__name__)


class State(StrEnum):
    """The result of a check, from good to bad."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """One line of the command: a sentence without a full stop, and a sentence that says what to do."""

    state: State
    text: str
    hint: str = ""


@dataclass(frozen=True)
class Check:
    """A check of one part. It may raise any error; then the part has failed, and ``hint`` says what to do."""

    name: str
    run: Callable[[], Sequence[Finding]]
    hint: str


def ok(text: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(State.OK, text)


def warning(text: str, hint: str) -> Finding:
    """Return a finding about a problem with which the deployment still works."""
    return Finding(State.WARNING, text, hint)


def failed(text: str, hint: str) -> Finding:
    """Return a finding about a problem with which the deployment does not work."""
    return Finding(State.FAILED, text, hint)


def findings(
    checks: Sequence[Check], seconds: float = TIME_LIMIT_SECONDS
) -> Iterator[tuple[Check, Finding]]:
    """Run all checks at the same time, and yield what they find, in their order.

    A check that takes longer than ``seconds`` has failed. Its thread is a daemon, so the process can end without it.
    """
    deadline = time.monotonic() + seconds
    running = [_Running(check) for check in checks]
    for each in running:
        for finding in each.result(deadline, seconds):
            yield each.check, finding


class _Running:
    """A check that runs in its own thread."""

    def __init__(self, check: Check) -> None:
        self.check = check
        self._found: Sequence[Finding] = ()
        self._thread = threading.Thread(target=self._run, name=check.name, daemon=True)
        self._thread.start()

    def result(self, deadline: float, seconds: float) -> Sequence[Finding]:
        """Wait until ``deadline``, in seconds of the monotonic clock, and return the findings."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            return [failed(f"no result within {seconds:g} seconds", self.check.hint)]
        return self._found

    def _run(self) -> None:
        try:
            self._found = self.check.run()
        # Client libraries raise all kinds of errors, and no error may stop the other checks.
        except Exception as error:
            log.debug("a check failed", exc_info=True)
            self._found = [failed(reason(error), self.check.hint)]
        finally:
            connection.close()


def reason(error: BaseException) -> str:
    """Return the first line of an error, without passwords and without a full stop."""
    line = next(iter(str(error).splitlines()), "").strip().rstrip(".")
    return without_secrets(line) or type(error).__name__


def without_secrets(text: str) -> str:
    """Return ``text`` with ``***`` instead of each password of the deployment's URLs."""
    for url in (settings.DATABASE_URL, settings.READINGS_URL, settings.CELERY_BROKER_URL):
        password = urlsplit(url).password or ""
        for secret in {password, unquote(password)}:
            if len(secret) >= _SHORT:
                text = text.replace(secret, "***")
    return text
