"""``manage.py copyfiles`` copies the export files to another store, compares them, and can be repeated."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from exports.models import FileRequest
from exports.stores import export_store
from headend.config.service_urls import exports_storage
from tests.services.servers import SeaweedFS
from tests.suppliers import file_path


@pytest.fixture
def source(exports_folder: Path) -> str:
    """The URL of the export store in which the tests create files."""
    return f"file://{exports_folder}"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """An empty folder."""
    folder = tmp_path / "other"
    folder.mkdir()
    return folder


def copy(source: str, target: str) -> str:
    """Run the command, and return what it prints."""
    output = io.StringIO()
    call_command("copyfiles", source, target, stdout=output, stderr=output)
    return output.getvalue()


def test_files_move_to_a_bucket_and_back(
    source: str, target: Path, completed: FileRequest, settings: Settings, seaweedfs: SeaweedFS
) -> None:
    content = file_path(completed.location).read_bytes()
    bucket = seaweedfs.url_by(seaweedfs.endpoint, "copied/sftp")
    assert "files copied: 1 " in copy(source, bucket)
    assert "files copied: 0 (0\xa0bytes), already there: 1" in copy(source, bucket)
    settings.STORAGES = {**settings.STORAGES, "exports": exports_storage(bucket)}
    store = export_store()
    with store.open(completed.location, len(content)) as file:
        assert file.read() == content
    assert list(store.unfinished_requests()) == []
    copy(bucket, f"file://{target}")
    assert (target / completed.location).read_bytes() == content


def test_a_damaged_or_missing_file_is_named_and_never_visible_in_the_target(
    source: str, target: Path, completed: FileRequest
) -> None:
    path = file_path(completed.location)
    content = path.read_bytes()
    for damaged, problem in (
        (b"x" * len(content), "has another checksum than the published file"),
        (content[:-1], f"has {len(content) - 1} bytes instead of {len(content)}"),
        (None, "is missing in FROM"),
    ):
        path.unlink() if damaged is None else path.write_bytes(damaged)
        output = io.StringIO()
        with pytest.raises(CommandError, match="1 of 1 files were not copied"):
            call_command("copyfiles", source, f"file://{target}", stdout=output, stderr=output)
        assert f"{completed.location} {problem}" in output.getvalue()
        assert [file for file in target.rglob("*") if file.is_file()] == []


def test_expired_files_are_not_copied(source: str, target: Path, completed: FileRequest) -> None:
    FileRequest.objects.update(expired_at=completed.finished_at)
    assert "files copied: 0" in copy(source, f"file://{target}")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("file:///missing-folder", "TO: the folder /missing-folder does not exist"),
        ("ftp://host/folder", "it must begin with file:// or s3://"),
        ("s3:///folder", "TO is 's3:///folder'; it names no bucket"),
    ],
)
def test_a_wrong_target_is_one_sentence(db: None, source: str, other: str, message: str) -> None:
    with pytest.raises(CommandError) as raised:
        copy(source, other)
    assert message in str(raised.value)
    with pytest.raises(CommandError, match="are the same"):
        copy(source, f"{source}/")
