"""``manage.py sftpserver`` runs the suppliers' SFTP server."""

from __future__ import annotations

import logging
import signal
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from exports.sftp.host_keys import host_keys, next_host_keys
from exports.sftp.metrics_server import start_metrics_server
from exports.sftp.server import Listener
from headend.config import draining
from headend.config.addresses import with_port
from headend.config.program import PROGRAM
from headend.config.project_command import ProjectCommand

log = logging.getLogger("exports.sftp")

LEGACY_WARNING = (
    "SFTP_LEGACY_ALGORITHMS is on: signatures with SHA-1 (ssh-rsa) are accepted. "
    "Turn it off when all clients are new enough."
)


class Command(ProjectCommand):
    """Serves SFTP until SIGTERM or Ctrl-C. Then open connections have the drain time; a second signal ends it."""

    help = (
        "Serve each supplier's files over SFTP on HEADEND_HOST:SFTP_PORT, read-only, with public keys. "
        "You can run several of these processes on the same database and export store. "
        f"Example: SFTP_PORT=2300 {PROGRAM} sftpserver"
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve. Raises ``CommandError`` if a port is in use."""
        host, legacy = settings.HEADEND_HOST, settings.SFTP_LEGACY_ALGORITHMS
        try:
            listener = Listener(
                host,
                settings.SFTP_PORT,
                host_keys(legacy_algorithms=legacy),
                next_host_keys=next_host_keys(legacy_algorithms=legacy),
                limits=settings.SFTP_LIMITS,
                legacy_algorithms=legacy,
                drain_seconds=draining.drain_seconds(),
            )
        except OSError as error:
            raise CommandError(
                f"SFTP_PORT: cannot listen on {with_port(host, settings.SFTP_PORT)} ({error.strerror});"
                " set it to a free port."
            ) from None

        if legacy:
            log.warning(LEGACY_WARNING)

        if settings.SFTP_METRICS_PORT:
            try:
                start_metrics_server(host, settings.SFTP_METRICS_PORT)
            except OSError as error:
                raise CommandError(
                    f"SFTP_METRICS_PORT: cannot listen on {with_port(host, settings.SFTP_METRICS_PORT)}"
                    f" ({error.strerror}); set it to a free port, or to 0."
                ) from None

        def stop(number: int, frame: FrameType | None) -> None:
            listener.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        self.stdout.write(f"SFTP on {with_port(host, listener.port)}")
        self.stdout.flush()
        listener.serve()
