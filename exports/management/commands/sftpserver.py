"""``manage.py sftpserver``: the suppliers' SFTP server."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from prometheus_client import start_http_server

from exports.sftp.host_keys import host_keys
from exports.sftp.server import Listener


class Command(BaseCommand):
    """Serves until SIGTERM or Ctrl-C."""

    help = (
        "Serve each supplier's files over SFTP on HEADEND_HOST:SFTP_PORT, read-only, by public key. "
        "Any number of these may run on the same database and exports store. "
        "Example: SFTP_PORT=2300 python manage.py sftpserver"
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve."""
        try:
            listener = Listener(settings.HEADEND_HOST, settings.SFTP_PORT, host_keys())
        except OSError as error:
            raise CommandError(
                f"SFTP_PORT: {settings.HEADEND_HOST}:{settings.SFTP_PORT} cannot be listened on"
                f" ({error.strerror}); set SFTP_PORT to a free port."
            ) from None

        if settings.SFTP_METRICS_PORT:
            try:
                start_http_server(settings.SFTP_METRICS_PORT, settings.HEADEND_HOST)
            except OSError as error:
                raise CommandError(
                    f"SFTP_METRICS_PORT: {settings.HEADEND_HOST}:{settings.SFTP_METRICS_PORT}"
                    f" cannot be listened on ({error.strerror}); set it to a free port, or to 0."
                ) from None

        def stop(number: int, frame: FrameType | None) -> None:
            listener.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        self.stdout.write(f"SFTP on {settings.HEADEND_HOST}:{listener.port}")
        self.stdout.flush()
        listener.serve()
