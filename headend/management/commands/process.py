"""``manage.py process``: run one process of the Procfile."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.core.management.base import CommandParser

from headend.config.program import PROGRAM
from headend.config.project_command import ProjectCommand
from headend.deployment import procfile
from headend.deployment.start_checks import refuse_host_without_setup, refuse_unusable_services
from headend.deployment.supervision.supervisor import environment


class Command(ProjectCommand):
    """Becomes one process of the Procfile. The process id stays the same, so signals reach that process."""

    help = (
        "Run one process of the Procfile in the foreground. Containers and systemd start each process with it, "
        "after `setup` has run on this host. If the database, the broker or a store cannot be used, the process does not "
        "start. A name may end with a number, such as `web2`, for a second process of the same kind on one host. "
        f"Example: {PROGRAM} process web"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the name of the process."""
        parser.add_argument("name", type=_without_number, choices=list(procfile.commands()))

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        """Check the services, then replace this process; do not return."""
        refuse_host_without_setup(name)
        refuse_unusable_services()
        command = procfile.commands()[name]
        procfile.enter_project_folder()
        sys.stdout.flush()
        os.execvpe(  # noqa: S606 (the shell runs a line of our Procfile; a user only chooses its name)
            "/bin/sh", ["sh", "-c", command], environment()
        )


def _without_number(name: str) -> str:
    return name.rstrip("0123456789")
