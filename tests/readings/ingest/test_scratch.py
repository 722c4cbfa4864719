"""The temporary folder of an import: copies of what can be read only once, and what a killed import leaves."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import threading
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from pathlib import Path

import polars as pl
import pytest
from django.core.management import CommandError
from pytest_django.fixtures import Settings

from readings.ingest import scratch
from readings.ingest.scratch import (
    ScratchError,
    import_folder,
    remove_abandoned_folders,
    save_blocks,
)
from readings.repositories import ReadingsRepository
from tests.readings.ingest.loading import load

pytestmark = pytest.mark.django_db

CONTENT = (Path(__file__).with_name("cases") / "twin1.csv").read_bytes()


def test_standard_input_is_read(store: ReadingsRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(CONTENT)))
    assert "-: 3 new readings" in load("-")


def test_a_pipe_is_read(store: ReadingsRepository, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[CONTENT])
    writer.start()
    assert "3 new readings" in load(pipe)
    writer.join()


def test_maintenance_removes_what_a_killed_import_left(tmp_path: Path) -> None:
    killed = tmp_path / "import-killed"
    killed.mkdir()
    (killed / "lock").touch()
    (killed / "000001.parquet").touch()
    with import_folder(tmp_path) as running:
        assert remove_abandoned_folders(tmp_path) == 1
        assert [path.name for path in tmp_path.iterdir()] == [running.name]
    assert not list(tmp_path.iterdir())


def _full(*arguments: object, **options: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _full_for_polars(readings: pl.DataFrame, file: Path, **options: str) -> None:
    """Let Polars find out that a device is full."""
    write_parquet(readings, "/dev/full", compression="lz4")


write_parquet = pl.DataFrame.write_parquet


@pytest.mark.parametrize(
    ("owner", "name", "fault"),
    [
        (pl.DataFrame, "write_parquet", _full),
        (pl.DataFrame, "write_parquet", _full_for_polars),
        (scratch, "TemporaryDirectory", _full),
        (fcntl, "flock", _full),
    ],
)
def test_a_full_disk_is_one_line_and_leaves_nothing(
    store: ReadingsRepository,
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    name: str,
    fault: Callable[..., None],
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    settings.HEADEND_HOME = home
    file = tmp_path / "may.csv"
    file.write_bytes(CONTENT)
    monkeypatch.setattr(owner, name, fault)
    with pytest.raises(CommandError) as raised:
        load(file)
    assert str(raised.value) == (
        f"{file}: its temporary files cannot be written to HEADEND_HOME: No space left on device."
    )
    assert not list(home.iterdir())


def test_a_full_disk_while_a_compressed_file_is_copied_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ScratchError, match="HEADEND_HOME: No space left on device"):
        save_blocks([b"time,device_id", b"x" * (1 << 20)], Path("/dev/full"))


def test_input_that_cannot_be_read_is_not_reported_as_a_fault_of_the_disk(
    store: ReadingsRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(sys, "stdin", TextIOWrapper(Broken()))
    with pytest.raises(CommandError, match=r"^-: Input/output error\.$"):
        load("-")
