"""Locks for commands and actions: of each kind, only one may run at a time in a deployment.

It must not import Polars, because ``manage.py run`` forks (see :mod:`headend.deployment.programs`).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.db.backends.base.base import BaseDatabaseWrapper

from headend.config.program import SET_UP_HOST

ROTATE, SETUP = "rotate", "setup"
"""The names of the locks."""
_LOCK_SETTINGS = {
    # If a host fails, PostgreSQL ends its lock after a minute. With the defaults of Linux, it takes two hours.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    # Limits of the server or of the user would end the lock, or the wait for it.
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "0",
    "statement_timeout": "0",
}
"""The settings of the transaction that has the lock."""


class InUseError(Exception):
    """Another process has the lock."""


@contextmanager
def one_at_a_time(
    name: str,
    home: Path,
    database: BaseDatabaseWrapper,
    *,
    on_wait: Callable[[], None] | None = None,
) -> Iterator[None]:
    """Lock the home folder and the database until the block ends. Locks with other names are independent.

    Hosts of a deployment have different home folders, but share a PostgreSQL database. If another process has the lock,
    call ``on_wait`` once, and wait until that process ends. Without ``on_wait``, raise :class:`InUseError`. If a
    process is killed, its locks end; if its host fails, they end after a minute. Raises ``ImproperlyConfigured`` if the
    home folder does not exist.
    """
    try:
        lock = os.open(home / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        raise ImproperlyConfigured(f"HEADEND_HOME: {home} does not exist. {SET_UP_HOST}") from None
    try:
        on_wait = _lock_file(lock, on_wait)
        with _locked_database(name, database, on_wait):
            yield
    finally:
        os.close(lock)


def _lock_file(lock: int, on_wait: Callable[[], None] | None) -> Callable[[], None] | None:
    """Lock the file. Return what to call before the next wait.

    If ``on_wait`` was called, this is a function that does nothing.
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if on_wait is None:
            raise InUseError from None
    else:
        return on_wait
    on_wait()
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lambda: None


@contextmanager
def _locked_database(
    name: str, database: BaseDatabaseWrapper, on_wait: Callable[[], None] | None
) -> Iterator[None]:
    if database.vendor != "postgresql":
        yield
        return
    key = int.from_bytes(hashlib.sha256(f"headend {name}".encode()).digest()[:8], signed=True)
    # The lock ends with its transaction, so it has its own connection. A session's lock would not end with the process
    # if a connection pool, such as PgBouncer, keeps the session open.
    own = database.copy()
    try:
        own.set_autocommit(False)
        with own.cursor() as cursor:
            for setting in _LOCK_SETTINGS.items():
                cursor.execute("SELECT set_config(%s, %s, true)", setting)
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [key])
            if not cursor.fetchone()[0]:
                if on_wait is None:
                    raise InUseError
                on_wait()
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [key])
        yield
    finally:
        own.close()
