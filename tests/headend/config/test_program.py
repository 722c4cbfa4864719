"""Messages name the program that users have: ``manage.py`` in the source tree, ``headend`` without it."""

from __future__ import annotations

from pathlib import Path

from headend.config.program import BASE_DIR, PROGRAM, program_of


def test_the_source_tree_has_manage_py() -> None:
    assert PROGRAM == program_of(BASE_DIR) == "python manage.py"


def test_an_installed_package_has_the_command_headend(tmp_path: Path) -> None:
    assert program_of(tmp_path) == "headend"
