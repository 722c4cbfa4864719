"""Packages and metadata: imports are declared, lock files are complete, versions agree."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from django.conf import settings

import headend
from tests.syntax import Nodes, imports_and_calls, nodes_of

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("manage.py", "headend", "readings", "exports")
DEVELOPMENT = ("tests", "benchmarks", "examples")
OURS = {"manage", "headend", "readings", "exports", "tests", "benchmarks", "examples"}


def normalized(name: str) -> str:
    """Return the name of a distribution as PyPI compares it, for example ``python-json-logger``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, set[str]]:
    """Return the versions of each ``name[extras]==version`` line by normalized name.

    A lock has several versions of a package if they depend on the Python version.
    """
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([^\s;\\]+)", text, re.MULTILINE):
        versions.setdefault(normalized(name), set()).add(version)
    return versions


def declared(*files: str) -> set[str]:
    return {name for file in files for name in pins((ROOT / file).read_text())}


def imported_packages(nodes: Nodes) -> Iterator[str]:
    """Yield the top-level package of each absolute import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def python_files(roots: Iterable[str]) -> Iterator[Path]:
    for root in roots:
        path = ROOT / root
        yield from path.rglob("*.py") if path.is_dir() else [path]


@cache
def providers() -> Mapping[str, list[str]]:
    """Return the distributions that provide each package. Python reads the file list of each distribution."""
    return packages_distributions()


def undeclared(packages: Iterable[str], requirements: set[str]) -> set[str]:
    """Return the third-party packages that no distribution in ``requirements`` provides."""
    return {
        package
        for package in set(packages) - OURS - sys.stdlib_module_names
        if requirements.isdisjoint(normalized(name) for name in providers().get(package, []))
    }


def imports_of(roots: Iterable[str]) -> dict[str, str]:
    """Return each imported top-level package with one file that imports it."""
    return {
        package: str(path.relative_to(ROOT))
        for path in python_files(roots)
        for package in imported_packages(nodes_of(path))
    }


def test_the_product_imports_only_packages_of_requirements_txt() -> None:
    found = imports_of(PRODUCT)
    assert {"django", "polars", "kombu", "urllib3"} <= found.keys()
    missing = undeclared(found, declared("requirements.txt"))
    assert not missing, {package: found[package] for package in missing}


def test_tests_and_benchmarks_import_only_declared_packages() -> None:
    found = imports_of(DEVELOPMENT)
    assert {"pytest", "PIL", "duckdb"} <= found.keys()
    missing = undeclared(found, declared("requirements.txt", "requirements-dev.txt"))
    assert not missing, {package: found[package] for package in missing}


def test_packages_that_the_settings_name_are_in_requirements_txt() -> None:
    named = {name.partition(".")[0] for name in [*settings.INSTALLED_APPS, *settings.MIDDLEWARE]}
    assert {"rest_framework", "whitenoise"} <= named
    assert not undeclared(named, declared("requirements.txt"))


def test_an_import_of_an_undeclared_package_is_found() -> None:
    source = "import os\nimport botocore.config\nfrom kombu import Queue\nfrom . import near\n"
    assert undeclared(imported_packages(imports_and_calls(source)), {"botocore"}) == {"kombu"}


@pytest.mark.parametrize(
    ("requirements", "lock"),
    [
        ("requirements.txt", "requirements.lock"),
        ("requirements.txt", "requirements-dev.lock"),
        ("requirements-dev.txt", "requirements-dev.lock"),
    ],
)
def test_the_lock_holds_each_declared_version(requirements: str, lock: str) -> None:
    locked = pins((ROOT / lock).read_text())
    for name, versions in pins((ROOT / requirements).read_text()).items():
        assert locked.get(name) == versions, f"{name} differs: run make lock"


def test_a_package_has_the_same_versions_in_every_lock() -> None:
    development = pins((ROOT / "requirements-dev.lock").read_text())
    for lock in ("requirements.lock", "requirements-uv.lock"):
        for name, versions in pins((ROOT / lock).read_text()).items():
            assert versions <= development[name], f"{name} differs in {lock}: run make lock"


@pytest.mark.parametrize("lock", sorted(ROOT.glob("*.lock")), ids=lambda path: path.name)
def test_every_locked_package_has_a_hash(lock: Path) -> None:
    entries = re.split(r"^(?=[A-Za-z0-9])", lock.read_text(), flags=re.MULTILINE)[1:]
    assert entries
    for entry in entries:
        assert "--hash=sha256:" in entry, entry


def test_the_supported_pythons_are_the_same_in_the_metadata_and_in_the_workflow() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    classifiers = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    matrix = re.search(r"python: \[(.+)\]", (ROOT / ".github/workflows/ci.yml").read_text())
    assert matrix
    assert re.findall(r"3\.\d+", matrix[1]) == classifiers
    assert project["requires-python"] == f">={classifiers[0]}"


def test_the_schema_and_the_metadata_have_the_version_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert settings.SPECTACULAR_SETTINGS["VERSION"] == headend.__version__
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "headend.__version__"}


def test_the_changelog_has_an_entry_for_the_version() -> None:
    assert f"\n## [{headend.__version__}] - " in (ROOT / "CHANGELOG.md").read_text()


def test_the_wheel_contains_every_file_of_the_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]
    packaged = {
        path
        for app, globs in patterns.items()
        for glob in globs
        for path in (ROOT / app).glob(glob)
    }
    files = {
        path
        for app in ("headend", "readings", "exports")
        for path in (ROOT / app).rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    assert {"Procfile", "portal.css", "base_curves.csv"} <= {path.name for path in files}
    assert files - packaged == set()
