"""The limits of an SFTP process: how many connections, sessions and files its clients may open."""

from __future__ import annotations

from dataclasses import dataclass

from headend.config import environment as env


@dataclass(frozen=True)
class SftpLimits:
    """The limits of one SFTP process. The defaults fit into 1,024 open files, a usual limit."""

    connections: int = 400
    connections_per_supplier: int = 50
    connections_per_address: int = 200
    connections_without_login: int = 100
    sessions: int = 400
    sessions_per_supplier: int = 100
    handles: int = 400
    handles_per_supplier: int = 100


def from_environment() -> SftpLimits:
    """Read the limits from the environment."""
    default, most = SftpLimits(), 100_000
    connections = env.integer("SFTP_CONNECTIONS", default.connections, minimum=2, maximum=most)
    return SftpLimits(
        connections=connections,
        connections_per_supplier=env.integer(
            "SFTP_CONNECTIONS_PER_SUPPLIER",
            default.connections_per_supplier,
            minimum=1,
            maximum=most,
        ),
        connections_per_address=env.integer(
            "SFTP_CONNECTIONS_PER_ADDRESS", default.connections_per_address, minimum=1, maximum=most
        ),
        connections_without_login=env.integer(
            "SFTP_CONNECTIONS_WITHOUT_LOGIN",
            max(1, connections // 4),
            minimum=1,
            maximum=most,
        ),
        sessions=env.integer("SFTP_SESSIONS", default.sessions, minimum=1, maximum=most),
        sessions_per_supplier=env.integer(
            "SFTP_SESSIONS_PER_SUPPLIER", default.sessions_per_supplier, minimum=1, maximum=most
        ),
        handles=env.integer("SFTP_HANDLES", default.handles, minimum=1, maximum=most),
        handles_per_supplier=env.integer(
            "SFTP_HANDLES_PER_SUPPLIER", default.handles_per_supplier, minimum=1, maximum=most
        ),
    )
