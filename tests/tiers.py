"""Which tests run when: marks that follow from the fixtures of a test.

``starts_processes``: the test starts a process, or talks to a server, a deployment or a browser. The mark comes from
the fixture of that name, which all such fixtures request; a test that starts a process itself has the mark in its
file. ``pytest --fast`` (``make check``) runs all other tests. A test without the mark fails if it starts a process, so
a missing mark is noticed in every run.

``on_servers``: the test uses the database, or a deployment with one. ``make test`` runs these tests twice: with SQLite
and folders, and with PostgreSQL, Valkey and S3. The other tests behave the same in both runs; so do those of
:data:`_SAME_ON_SERVERS`.
"""

from __future__ import annotations

import multiprocessing.util
import os
import subprocess
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.home import ON_SERVERS
from tests.scheduling import rank

_MARKS = {
    "starts_processes": "starts a process, or talks to one; --fast skips it",
    "on_servers": "uses the database; `make test` runs it a second time with PostgreSQL, Valkey and S3",
}
_TESTS = Path(__file__).parent
_PROCESS_FOLDERS = [_TESTS / name for name in ("contract", "e2e", "services", "upgrade")]
"""Every test in these folders starts processes. ``--fast`` does not import them: some imports take seconds."""
_SAME_ON_SERVERS = [
    # The commands write to the readings store. The database has no part in what these tests assert.
    *(
        f"readings/ingest/test_{name}.py"
        for name in (
            "backfill", "cases", "file_import", "load_options", "local_time", "memory", "scratch", "stop_request",
            "stored_differences",
        )
    ),
    "readings/repositories/test_copies.py",
    "headend/test_store_copy.py",
    # These compare the bytes of a file with those from a Delta table. The steps that write it are the same.
    "exports/pipeline/test_clickhouse.py",
    "exports/pipeline/test_timestream.py",
    # These are about a protocol or a file format. They read a few rows by their keys.
    "examples/",
    "exports/delivery/test_deadline.py",
    "exports/delivery/test_push_options.py",
    "exports/formats/",
    "exports/sftp/test_algorithms.py",
    "exports/sftp/test_hostile_clients.py",
    "exports/sftp/test_openssh.py",
    "exports/sftp/test_packetizer.py",
    "headend/http/test_malformed_requests.py",
    "headend/http/test_usable_headers.py",
    # These count the queries of Django's ORM, which are the same, and look at modules.
    "headend/portal/test_query_counts.py",
    "test_architecture.py",
]  # fmt: skip
"""Folders and files whose tests use the database, but behave the same with each one."""
_DATABASE_FIXTURES = {"db", "transactional_db", "django_db_setup", "on_servers"}
_PROCESS_STARTERS: list[tuple[Any, str]] = [
    (subprocess.Popen, "__init__"),
    (multiprocessing.util, "spawnv_passfds"),
    (os, "fork"),
    (os, "posix_spawn"),
    (os, "posix_spawnp"),
    (os, "system"),
]


@pytest.fixture(scope="session")
def starts_processes() -> None:
    """Allow the test to start processes. Fixtures with a process request this fixture."""


@pytest.fixture(scope="session")
def on_servers() -> bool:
    """Return whether the tests run with PostgreSQL, Valkey and S3."""
    return ON_SERVERS


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--fast``."""
    parser.addoption("--fast", action="store_true", help="skip the tests that start processes")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks, and select by them."""
    for name, meaning in _MARKS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    if config.option.fast:
        chosen = config.option.markexpr
        config.option.markexpr = "not starts_processes" + (f" and ({chosen})" if chosen else "")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip the folders in which all tests start processes."""
    return True if config.option.fast and collection_path in _PROCESS_FOLDERS else None


# Wraps pytest's selection by marks, and the sorting by pytest-django: it puts tests without a database last.
@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    """Mark all tests, and put the groups that take longest first."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if "starts_processes" in fixtures:
            item.add_marker("starts_processes")
        uses_database = item.get_closest_marker("django_db") or fixtures & _DATABASE_FIXTURES
        path = item.path.relative_to(_TESTS).as_posix()
        if uses_database and not path.startswith(tuple(_SAME_ON_SERVERS)):
            item.add_marker("on_servers")
        if not _starts_processes(item) and not set(_PROCESS_FOLDERS).isdisjoint(item.path.parents):
            raise pytest.UsageError(
                f"{item.nodeid} starts no process. Move it to a folder that --fast does not skip."
            )
    yield
    items.sort(key=lambda item: (not _starts_processes(item), rank(item.nodeid)))


def _starts_processes(item: pytest.Item) -> bool:
    return item.get_closest_marker("starts_processes") is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that starts a process without the mark."""
    with pytest.MonkeyPatch.context() as patch:
        if not _starts_processes(item):
            for owner, name in _PROCESS_STARTERS:
                patch.setattr(owner, name, _refusal(f"{owner.__name__}.{name}"))
        return (yield)


def _refusal(name: str) -> Callable[..., NoReturn]:
    def refuse(*_: object, **__: object) -> NoReturn:
        pytest.fail(f"{name}: a test that starts a process needs the mark starts_processes")

    return refuse
