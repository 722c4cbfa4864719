"""The temporary folder of an import: copies of what can be read only once, and what a killed import leaves."""

from __future__ import annotations

import os
import sys
import threading
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from readings.ingest.scratch import import_folder, remove_abandoned_folders
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


def test_upkeep_removes_what_a_killed_import_left(tmp_path: Path) -> None:
    killed = tmp_path / "import-killed"
    killed.mkdir()
    (killed / "lock").touch()
    (killed / "000001.parquet").touch()
    with import_folder(tmp_path) as running:
        assert remove_abandoned_folders(tmp_path) == 1
        assert [path.name for path in tmp_path.iterdir()] == [running.name]
    assert not list(tmp_path.iterdir())
