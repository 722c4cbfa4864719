"""The rooms and the ways between them, as the design has them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command

ROOT = Path(__file__).parent.parent
ROOMS = ("headend", "readings", "exports")
MAY_NOT_IMPORT = {
    "readings": ("exports",),
    "readings/simulation": (
        "django", "rest_framework", "celery", "readings.repositories", "readings.api",
        "readings.tasks", "readings.models", "headend",
    ),
    "readings/frame.py": ("django", "rest_framework", "readings"),
    "readings/window.py": ("django", "rest_framework"),
    "readings/repositories": ("rest_framework", "requests", "readings.api", "readings.simulation", "headend"),
    "exports/pipeline/export_file.py": ("celery", "rest_framework", "exports.tasks", "exports.api", "exports.pipeline.worker"),
    "exports/pipeline/worker.py": ("celery", "rest_framework", "exports.tasks", "exports.api"),
    "exports/formats": ("django", "celery", "rest_framework"),
    "exports/formats/gzip_member.py": ("django", "readings"),
    "exports/models": ("readings", "exports.pipeline.transitions", "exports.pipeline.export_file", "celery"),
    "exports/delivery": ("celery", "exports.tasks", "exports.pipeline.export_file", "rest_framework"),
}  # fmt: skip
LONGEST_FILE = 400


def modules(place: str) -> list[Path]:
    path = ROOT / place
    found = [path] if path.suffix else sorted(path.rglob("*.py"))
    assert found, f"{place} is not there"
    return [module for module in found if "migrations" not in module.parts]


def imports(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("place", MAY_NOT_IMPORT)
def test_imports_run_the_way_the_design_says(place: str) -> None:
    for module in modules(place):
        for imported in imports(module):
            for forbidden in MAY_NOT_IMPORT[place]:
                inside = imported == forbidden or imported.startswith(forbidden + ".")
                assert not inside, f"{module.relative_to(ROOT)} imports {imported}"


def test_a_status_is_only_written_by_its_transitions() -> None:
    for room in ROOMS:
        for module in modules(room):
            if module.name == "transitions.py":
                continue
            for node in ast.walk(ast.parse(module.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "update":
                    written = {keyword.arg for keyword in node.keywords}
                    assert not written & {"status", "state"}, module


def test_no_module_imports_itself_in_a_circle() -> None:
    ways = {
        ".".join(module.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): set(
            imports(module)
        )
        for room in ROOMS
        for module in modules(room)
    }
    ways = {name: {other for other in seen if other in ways} for name, seen in ways.items()}

    def reachable(name: str) -> set[str]:
        found: set[str] = set()
        waiting = list(ways[name])
        while waiting:
            other = waiting.pop()
            if other not in found:
                found.add(other)
                waiting += ways[other]
        return found

    assert [name for name in ways if name in reachable(name)] == []


def test_every_command_has_a_test() -> None:
    tests = "\n".join(test.read_text() for test in (ROOT / "tests").rglob("test_*.py"))
    for room in ROOMS:
        for command in (ROOT / room / "management" / "commands").glob("[!_]*.py"):
            assert f'"{command.stem}"' in tests, f"no test runs {command.stem}"


def test_no_file_is_two_rooms_in_one() -> None:
    for place in (*ROOMS, "tests", "benchmarks"):
        for module in modules(place):
            assert len(module.read_text().splitlines()) <= LONGEST_FILE, module


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.django_db(transaction=True)
def test_migrations_can_be_taken_back() -> None:
    for app in ("exports", "readings"):
        call_command("migrate", app, "zero", verbosity=0)
    call_command("migrate", verbosity=0)
