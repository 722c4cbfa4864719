"""What only one deployment or one command can use at a time: the ports, the home folder and the database.

It must not import Polars, because ``manage.py run`` forks (see :mod:`headend.deployment.programs`).
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.backends.base.base import BaseDatabaseWrapper

from headend.config.addresses import bound_socket, with_port
from headend.config.program import SET_UP_HOST

_LOCK = "deployment.lock"
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
    """Another command has the lock."""


def check_port(setting: str, port: int) -> None:
    """Raise ``ImproperlyConfigured`` if this deployment cannot listen on ``port``."""
    try:
        bound_socket(settings.HEADEND_HOST, port).close()
    except OSError as error:
        remedy = (
            "set HEADEND_HOST to an address of this host"
            if error.errno == errno.EADDRNOTAVAIL
            else f"set {setting} to a free port"
        )
        raise ImproperlyConfigured(
            f"{setting}: cannot listen on {with_port(settings.HEADEND_HOST, port)} ({error.strerror}); {remedy}."
        ) from None


def lock_home(home: Path) -> int:
    """Lock the home folder for this deployment. The lock ends with the process, also if the process is killed.

    Return the descriptor that holds the lock. Forked processes must close it; otherwise they keep the lock.
    Raises ``ImproperlyConfigured`` if another deployment has the lock.
    """
    lock = os.open(home / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ImproperlyConfigured(
            f"HEADEND_HOME: another deployment is running in {home}."
        ) from None
    return lock


def is_in_use(home: Path) -> bool:
    """Return whether a deployment is running in the home folder, started by ``manage.py run`` on this host."""
    try:
        lock = os.open(home / _LOCK, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


@contextmanager
def one_at_a_time(
    command: str, home: Path, database: BaseDatabaseWrapper, *, waits: bool
) -> Iterator[None]:
    """Lock the home folder and the database for a command until the block ends. Other commands have other locks.

    Hosts of a deployment have different home folders, but share a PostgreSQL database. If another process has the lock,
    wait until it ends (``waits``), or raise :class:`InUseError`. The locks of a process that was killed end too, and those
    of a host that failed end after a minute. Raises ``ImproperlyConfigured`` if the home folder does not exist.
    """
    try:
        lock = os.open(home / f"{command}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        raise ImproperlyConfigured(f"HEADEND_HOME: {home} does not exist. {SET_UP_HOST}") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except BlockingIOError:
            raise InUseError from None
        with _locked_database(command, database, waits=waits):
            yield
    finally:
        os.close(lock)


@contextmanager
def _locked_database(command: str, database: BaseDatabaseWrapper, *, waits: bool) -> Iterator[None]:
    if database.vendor != "postgresql":
        yield
        return
    key = int.from_bytes(hashlib.sha256(f"headend {command}".encode()).digest()[:8], signed=True)
    # The lock ends with its transaction, so the command cannot use its connection. A lock of a session would not end with
    # the command if there is a connection pool, such as PgBouncer.
    own = database.copy()
    try:
        own.set_autocommit(False)
        with own.cursor() as cursor:
            for setting in _LOCK_SETTINGS.items():
                cursor.execute("SELECT set_config(%s, %s, true)", setting)
            if waits:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [key])
            else:
                cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [key])
                if not cursor.fetchone()[0]:
                    raise InUseError
        yield
    finally:
        own.close()
