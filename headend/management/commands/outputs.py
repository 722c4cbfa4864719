"""``manage.py outputs``: the deployment's addresses, names and keys."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from headend.deployment import outputs


class Command(BaseCommand):
    """Prints what `make run` printed when it had started."""

    help = (
        "Print the deployment's output values under the guide's names, the default supplier's API "
        "key, the operator's login, and curl and sftp lines to paste. Example: "
        "python manage.py outputs --json | jq -r .ApiKey"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """One option."""
        parser.add_argument("--json", action="store_true", help="one JSON object, for scripts")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print them."""
        values = outputs.collect()
        self.stdout.write(
            json.dumps(values.as_json(), indent=2) if options["json"] else values.as_text()
        )
