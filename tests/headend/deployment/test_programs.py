"""Which commands of the Procfile run in forked processes."""

from __future__ import annotations

import pytest

from headend.deployment import procfile, programs


def test_every_process_of_the_procfile_is_forked() -> None:
    commands = procfile.commands()
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
