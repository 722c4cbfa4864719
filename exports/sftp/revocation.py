"""Finds the open connections whose supplier or key is no longer allowed to log in."""

from __future__ import annotations

from collections.abc import Iterable

from exports.models import SshKey
from exports.sftp.connections import Connection
from exports.sftp.database import database_connection


def revoked(connections: Iterable[Connection]) -> list[Connection]:
    """Return the connections whose key was deleted or changed, or whose supplier was deactivated.

    One query covers all connections. Raises the database's error if it cannot be used.
    """
    logged_in = {connection: connection.auth.logged_in_key for connection in connections}
    if not logged_in:
        return []
    with database_connection():
        valid = set(
            SshKey.objects.filter(
                pk__in={key.pk for key in logged_in.values()}, supplier__active=True
            ).values_list("pk", "supplier_id", "public_key")
        )
    return [
        connection
        for connection, key in logged_in.items()
        if (key.pk, key.supplier_id, key.public_key) not in valid
    ]
