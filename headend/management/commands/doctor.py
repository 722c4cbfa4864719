"""``manage.py doctor``: use the services and the host as the deployment does, and say what does not work."""

from __future__ import annotations

import sys
from typing import Any

from headend.config.program import PROGRAM
from headend.config.project_command import ProjectCommand
from headend.diagnosis.all_checks import ALL_CHECKS
from headend.diagnosis.finding import Finding, State, findings

_STYLES = {State.OK: "SUCCESS", State.WARNING: "WARNING", State.FAILED: "ERROR"}


class Command(ProjectCommand):
    """Prints one line for each check. The exit code is 1 if a check failed."""

    help = (
        "Check database, broker, stores, secrets, ports, clock, disks and versions: each part is used in the way the "
        "deployment uses it. One line for each finding: ok, warning or failed, what was checked, what was found, and what to "
        "do. The exit code is 1 if something failed, otherwise 0. It can run while the deployment runs, and leaves nothing "
        f"behind. Example: {PROGRAM} doctor || systemctl status 'headend*'"
    )
    # Wrong settings are a finding, and do not stop the other checks.
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Run all checks and print their findings."""
        has_failed = False
        for check, finding in findings(ALL_CHECKS):
            has_failed |= finding.state == State.FAILED
            self._print(check.name, finding)
        if has_failed:
            sys.exit(1)

    def _print(self, name: str, finding: Finding) -> None:
        state = getattr(self.style, _STYLES[finding.state])(f"{finding.state:<8}")
        hint = f" {finding.hint}" if finding.hint else ""
        self.stdout.write(f"{state} {name:<11} {finding.text}.{hint}")
        self.stdout.flush()
