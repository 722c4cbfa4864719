"""``manage.py run``: set up the deployment and run all its processes in the foreground."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connections

from headend.config.addresses import ANY_IPV6
from headend.config.folders import create_folders
from headend.deployment import bootstrap, launch, outputs
from headend.deployment.supervision.announcement import Announcement


class Command(BaseCommand):
    """Runs ``setup``, then the processes of the Procfile until Ctrl-C."""

    help = (
        "Run portal, API, workers, beat and SFTP server in the foreground; Ctrl-C ends them all. "
        "The first run creates everything they need in HEADEND_HOME; later runs use it again. "
        "Example: HEADEND_PORT=8100 SFTP_PORT=2300 HEADEND_HOME=./second python manage.py run"
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Set up, then replace this process with the supervisor."""
        bootstrap.check_port("HEADEND_PORT", settings.HEADEND_PORT)
        bootstrap.check_port("SFTP_PORT", settings.SFTP_PORT)
        create_folders(settings.FOLDERS)
        bootstrap.lock_home(settings.HEADEND_HOME)
        try:
            bootstrap.check_broker()
            call_command("setup", stdout=self.stdout, stderr=self.stderr)
            announcement = Announcement(
                outputs.collect().as_text(),
                _reachable_host(),
                settings.HEADEND_PORT,
                settings.SFTP_PORT,
            )
            connections.close_all()
            launch.replace_process(settings.BASE_DIR / "Procfile", announcement)
        except KeyboardInterrupt:
            self.stderr.write("Interrupted during setup; the next run continues it.")
            sys.exit(130)


def _reachable_host() -> str:
    """Return an address of this machine at which the servers can be reached."""
    loopback = {"0.0.0.0": "127.0.0.1", ANY_IPV6: "::1"}  # noqa: S104 (looked up, not listened on)
    return loopback.get(settings.HEADEND_HOST, settings.HEADEND_HOST)
