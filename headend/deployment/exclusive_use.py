"""What only one deployment can use at a time: the ports and the home folder.

It must not import Polars, because ``manage.py run`` forks (see :mod:`headend.deployment.programs`).
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from headend.config.addresses import bound_socket, with_port

_LOCK = "deployment.lock"


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
