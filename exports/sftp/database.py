"""Database access in paramiko's threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def database_connection() -> Iterator[None]:
    """Close the thread's database connection after the block.

    Django closes connections at the end of an HTTP request, which the threads of SFTP connections do not have.
    """
    try:
        yield
    finally:
        connection.close()
