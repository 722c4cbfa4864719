"""The SFTP session's answers to errors of the disk, and its listings."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import paramiko
import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from paramiko.sftp import SFTP_FAILURE

from exports.models import FileRequest
from exports.sftp.filesystem import Entry, Listing, SupplierFilesystem
from exports.sftp.session import OpenFolder, Session


@pytest.mark.django_db
def test_a_file_that_the_disk_refuses_to_read_is_a_failure_and_one_line_in_the_log(
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    session = cast("Any", Session.__new__(Session))
    session._filesystem = SimpleNamespace(open=refuse)
    session._auth = SimpleNamespace(fetcher=None)
    assert session.open("/folder/file.gz", 0, paramiko.SFTPAttributes()) == SFTP_FAILURE
    [line] = [line for line in log_lines() if line["level"] == "ERROR"]
    assert line["error"] == "[Errno 13] Permission denied"
    assert "exc_info" not in line


class Blocks:
    """A listing in blocks. An error among them is raised once, by the call that would return the next block."""

    def __init__(self, *blocks: list[Entry] | Exception) -> None:
        self.rest = list(blocks)

    def next_block(self) -> list[Entry]:
        block = self.rest.pop(0) if self.rest else []
        if isinstance(block, Exception):
            raise block
        return block


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    """150 entries of a folder. Nothing uses the database."""
    monkeypatch.setattr("exports.sftp.session.database_connection", nullcontext)
    now = datetime(2026, 11, 26, tzinfo=UTC)
    return [Entry(f"f{number}", False, 1, now) for number in range(150)]


def test_a_folder_is_listed_in_order_in_answers_of_64_entries(entries: list[Entry]) -> None:
    folder = OpenFolder(cast("Listing", Blocks(entries[:100], entries[100:])))
    answers = [folder._get_next_files() for _ in range(5)]
    assert [len(answer) for answer in answers] == [64, 36, 50, 0, 0]
    assert [attributes.filename for answer in answers for attributes in answer] == [
        entry.name for entry in entries
    ]


def test_after_an_error_of_the_database_a_listing_continues_and_misses_nothing(
    entries: list[Entry],
) -> None:
    folder = OpenFolder(
        cast("Listing", Blocks(entries[:100], OperationalError("locked"), entries[100:]))
    )
    names = [each.filename for _ in range(2) for each in folder._get_next_files()]
    with pytest.raises(OperationalError):
        folder._get_next_files()
    names += [each.filename for _ in range(2) for each in folder._get_next_files()]
    assert names == [entry.name for entry in entries]


@pytest.mark.django_db
def test_a_listing_reads_only_what_it_shows(completed: FileRequest) -> None:
    with CaptureQueriesContext(connection) as queries:
        [folder] = SupplierFilesystem(completed.supplier_id).list_folder("/").next_block()
    assert folder.name == str(completed.pk)
    assert '"sha256"' not in queries.captured_queries[-1]["sql"].partition(" FROM ")[0]
