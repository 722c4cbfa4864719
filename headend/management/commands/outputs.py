"""``manage.py outputs``: print the deployment's addresses, names and keys."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandParser

from headend.config.program import PROGRAM
from headend.config.project_command import ProjectCommand
from headend.deployment import outputs


class Command(ProjectCommand):
    """Prints the same values that ``manage.py run`` prints when the deployment is ready."""

    help = (
        "Print the deployment's output values with the guide's names, the default supplier's API key, the "
        "operator's login, and curl and sftp commands to copy. Example: "
        f"{PROGRAM} outputs --json | jq -r .ApiKey"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the option ``--json``."""
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object, for scripts"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the values. A deployment that has not been set up is an error."""
        values = outputs.collect()
        self.stdout.write(
            json.dumps(values.as_json(), indent=2) if options["json"] else values.as_text()
        )
