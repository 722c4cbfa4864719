"""Which commands of the Procfile run in forked processes."""

from __future__ import annotations

import pytest
from django.conf import settings
from honcho.environ import parse_procfile

from headend.deployment import programs


def test_every_process_of_the_procfile_is_forked() -> None:
    procfile = (settings.BASE_DIR / "Procfile").read_text(encoding="utf-8")
    commands = parse_procfile(procfile).processes
    assert set(commands) == {"web", "worker", "deliveries", "beat", "sftp"}
    assert [
        name for name, command in commands.items() if programs.program_for(command) is None
    ] == []


@pytest.mark.parametrize(
    "command",
    [
        "sleep 5",
        "python other.py",
        "gunicorn headend.wsgi | tee log",
        "cd elsewhere && celery --app headend worker",
        "exec celery --app $APP worker",
        "WEB_WORKERS=3 gunicorn headend.wsgi",
        "",
    ],
)
def test_only_a_shell_can_run_other_commands(command: str) -> None:
    assert programs.program_for(command) is None
