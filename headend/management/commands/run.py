"""``manage.py run``: the whole deployment in the foreground, set up on the way where it is not yet."""

from __future__ import annotations

import socket
import sys
import threading
import time
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connections

from headend.deployment import bootstrap, outputs, supervisor

READY_WITHIN_SECONDS = 120


class Command(BaseCommand):
    """Set-up, then portal, API, worker, beat and SFTP server until Ctrl-C."""

    help = (
        "Run portal, API, worker, beat and SFTP server in the foreground; one Ctrl-C ends them. "
        "The first run makes everything they need in HEADEND_HOME; later ones find it there. "
        "Example: HEADEND_PORT=8100 SFTP_PORT=2300 HEADEND_HOME=./second python manage.py run"
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Set up, start, announce, and wait for the end."""
        bootstrap.check_port("HEADEND_PORT", settings.HEADEND_PORT)
        bootstrap.check_port("SFTP_PORT", settings.SFTP_PORT)
        with bootstrap.sole_use_of(settings.HEADEND_HOME):
            try:
                call_command("setup", stdout=self.stdout, stderr=self.stderr)
                connections.close_all()
                threading.Thread(target=self._announce, daemon=True).start()
                sys.exit(supervisor.run(settings.BASE_DIR / "Procfile"))
            except KeyboardInterrupt:
                self.stderr.write("Ended during set-up; the next run goes on from there.")
                sys.exit(130)

    def _announce(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        while time.monotonic() < deadline:
            # Asleep at first: no thread may hold a lock while the processes are being forked.
            time.sleep(0.2)
            if _web_answers() and _sftp_answers():
                self.stdout.write(outputs.collect().as_text())
                self.stdout.flush()
                return
        self.stderr.write(
            f"The API or the SFTP server does not answer after {READY_WITHIN_SECONDS} s; "
            "the lines above may say why."
        )


def _web_answers() -> bool:
    try:
        with urlopen(f"http://{_reachable()}:{settings.HEADEND_PORT}/health/live", timeout=5):
            return True
    except (URLError, OSError):
        return False


def _sftp_answers() -> bool:
    try:
        with socket.create_connection((_reachable(), settings.SFTP_PORT), timeout=5) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _reachable() -> str:
    return "127.0.0.1" if settings.HEADEND_HOST in {"0.0.0.0", "::"} else settings.HEADEND_HOST  # noqa: S104 (compared, not bound)
