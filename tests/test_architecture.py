"""The structure that docs/design.md describes: layers, packages, sizes, and rules for some modules."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.syntax import nodes_of

ROOT = Path(__file__).parent.parent
APPS = ("headend", "readings", "exports")
LAYERS = (
    {"headend.api", "headend.config", "headend.trace", "headend.read_only_admin"},
    {"readings"},
    {"exports"},
    {"headend"},
)
"""From bottom to top. A module belongs to the layer that has the longest prefix of its name."""
FORBIDDEN_IMPORTS = {
    "headend/api": ("celery",),
    "headend/portal": (
        "celery", "headend.celery", "headend.deployment", "headend.http", "headend.monitoring",
    ),
    "readings/simulation": (
        "django", "rest_framework", "celery", "readings.repositories", "readings.api",
        "readings.tasks", "readings.models", "headend",
    ),
    "readings/instants.py": ("django", "rest_framework", "polars", "readings"),
    "readings/engines.py": ("django", "rest_framework", "polars", "readings"),
    "readings/repository_errors.py": ("django", "rest_framework", "polars", "readings"),
    "readings/frame.py": ("django", "rest_framework", "readings.models", "readings.repositories", "readings.window"),
    "readings/window.py": ("django", "rest_framework"),
    "readings/repositories": ("rest_framework", "requests", "readings.api", "readings.simulation", "headend"),
    "exports/pipeline": ("celery", "rest_framework", "exports.tasks", "exports.api"),
    "exports/pipeline/export_file.py": ("exports.pipeline.worker",),
    "exports/formats": ("django", "celery", "rest_framework"),
    "exports/formats/gzip_member.py": ("django", "readings"),
    "exports/models": ("readings", "exports.pipeline", "celery"),
    "exports/delivery": ("celery", "exports.tasks", "exports.pipeline.export_file", "rest_framework"),
}  # fmt: skip
ALLOWED_IMPORTS = {
    # The overview names the services that cannot be used, as /health/ready does.
    "headend/portal": ("headend.monitoring.health",),
    # The one place that limits the time of calls to AWS; and the program that errors name, with a command that helps.
    "readings/repositories": ("headend.config.aws_clients", "headend.config.program"),
}
"""Exceptions from :data:`FORBIDDEN_IMPORTS`."""
MAX_PRODUCT_LINES = 300
MAX_TEST_LINES = 400
_DESIGN = ROOT / "docs" / "design.md"


@cache
def python_files(place: str) -> list[Path]:
    """Return the Python files of a folder, or the file itself, without migrations."""
    path = ROOT / place
    found = [path] if path.suffix else sorted(path.rglob("*.py"))
    assert found, f"{place} does not exist"
    return [file for file in found if "migrations" not in file.parts]


@cache
def product_modules() -> dict[str, Path]:
    """Return the files of the three packages by module name; a package has the name of its folder."""
    return {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
        for app in APPS
        for file in python_files(app)
    }


def imported_names(file: Path) -> Iterator[str]:
    """Return the dotted names that the file imports anywhere, inside functions too."""
    for node in nodes_of(file):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def imports() -> dict[str, set[str]]:
    """Return the product modules that each product module imports."""
    return {
        module: {found for name in imported_names(file) if (found := _module_of(name))}
        for module, file in product_modules().items()
    }


def _module_of(name: str) -> str | None:
    """Return the product module that defines ``name``, or None for names of other packages."""
    while name not in product_modules():
        name, dot, _ = name.rpartition(".")
        if not dot:
            return None
    return name


def _is_inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def layer_of(module: str) -> int:
    """Return the number of the module's layer, 0 for the lowest."""
    matches = [
        (len(package), number)
        for number, packages in enumerate(LAYERS)
        for package in packages
        if _is_inside(module, package)
    ]
    return max(matches)[1]


def test_a_module_imports_only_its_own_layer_and_lower_ones() -> None:
    """One test for all modules: one for each would take more time than their check."""
    wrong = [
        f"{module} imports {imported}"
        for module in product_modules()
        for imported in imports()[module]
        if layer_of(imported) > layer_of(module)
    ]
    assert wrong == []


@pytest.mark.parametrize("place", FORBIDDEN_IMPORTS)
def test_a_package_does_not_import_what_is_forbidden_for_it(place: str) -> None:
    for file in python_files(place):
        for imported in imported_names(file):
            if any(_is_inside(imported, allowed) for allowed in ALLOWED_IMPORTS.get(place, ())):
                continue
            for forbidden in FORBIDDEN_IMPORTS[place]:
                assert not _is_inside(imported, forbidden), f"{file} imports {imported}"


def test_only_the_urls_import_the_portal() -> None:
    portal = "headend.portal"
    importers = {
        module
        for module, imported in imports().items()
        if not _is_inside(module, portal) and any(_is_inside(name, portal) for name in imported)
    }
    assert importers <= {"headend.urls"}


def node_of(module: str, depth: int) -> str:
    """Return the package at ``depth`` that contains the module, or the module itself if it is not that deep.

    At depth 2 ``exports.formats`` is one node, and so is ``readings.repositories`` with its engines; a
    module directly in an app, such as ``exports.tasks``, is a separate node. At depth 3
    ``readings.repositories.delta`` is one node and ``readings.repositories.base`` another. Below that every
    module is a node.
    """
    path = product_modules()[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    parts = package.split(".")
    return ".".join(parts[:depth]) if len(parts) >= depth else module


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_no_package_and_no_module_imports_itself_in_a_circle(depth: int) -> None:
    graph: dict[str, set[str]] = {}
    for module, imported in imports().items():
        node = node_of(module, depth)
        graph.setdefault(node, set()).update({node_of(name, depth) for name in imported} - {node})

    def reachable(node: str) -> set[str]:
        found: set[str] = set()
        waiting = list(graph[node])
        while waiting:
            other = waiting.pop()
            if other not in found:
                found.add(other)
                waiting += graph[other]
        return found

    assert [node for node in graph if node in reachable(node)] == []


def test_a_status_is_written_only_by_modules_named_transitions() -> None:
    for module, file in product_modules().items():
        if file.name == "transitions.py":
            continue
        for node in nodes_of(file):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "update":
                written = {keyword.arg for keyword in node.keywords}
                assert not written & {"status", "state"}, module


def test_every_client_of_aws_is_created_with_a_deadline() -> None:
    creators = {
        module
        for module, file in product_modules().items()
        for node in nodes_of(file)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("boto3.client", "boto3.resource")
    }
    assert creators == {"headend.config.aws_clients"}


def paths_in_tree() -> set[str]:
    """Return the paths that the tree in docs/design.md names; a folder's path ends with a slash.

    A line has names, two or more spaces, and a description. Two spaces of indentation are one level.
    """
    [tree] = re.findall(
        r"^```text\n(headend/.*?)^```", _DESIGN.read_text(), re.MULTILINE | re.DOTALL
    )
    found: set[str] = set()
    folders: list[str] = []
    for line in tree.splitlines():
        level = (len(line) - len(line.lstrip())) // 2
        names = re.split(r"\s{2,}", line.strip())[0].split()
        found |= {"".join([*folders[:level], name]) for name in names}
        folders[level:] = [names[0]]
    return found


def test_every_path_in_the_design_exists() -> None:
    in_text = re.findall(
        rf"`((?:{'|'.join(APPS)}|tests|benchmarks|templates)/[\w/]*(?:\.\w+)?)`",
        _DESIGN.read_text(),
    )
    assert in_text
    for path in paths_in_tree() | set(in_text):
        assert (ROOT / path).exists(), f"docs/design.md names {path}"


def test_every_package_is_in_the_design() -> None:
    by_convention = {"management", "commands"}  # Django's own names
    packages = {
        f"{file.parent.relative_to(ROOT)}/"
        for file in product_modules().values()
        if not by_convention & set(file.parts)
    }
    assert packages - paths_in_tree() == set()


def test_every_command_has_a_test() -> None:
    tests = "\n".join(test.read_text() for test in (ROOT / "tests").rglob("test_*.py"))
    for app in APPS:
        for command in (ROOT / app / "management" / "commands").glob("[!_]*.py"):
            assert f'"{command.stem}"' in tests, f"no test runs {command.stem}"


def test_no_file_is_too_long() -> None:
    for place in (*APPS, "tests", "benchmarks", "examples"):
        limit = MAX_PRODUCT_LINES if place in APPS else MAX_TEST_LINES
        for file in python_files(place):
            assert len(file.read_text().splitlines()) <= limit, file


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
