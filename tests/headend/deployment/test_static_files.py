"""Static files are collected if they have changed, and only then."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from headend.deployment import static_files
from headend.deployment.static_files import STAMP, collect_static_files


@pytest.fixture(autouse=True)
def source(settings: Settings, tmp_path: Path) -> Path:
    """A folder with the only static file."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "page.css").write_text("a {}")
    settings.STATICFILES_DIRS = [folder]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATIC_ROOT = tmp_path / "static"
    return folder


def collected(settings: Settings) -> dict[str, str]:
    """Return the content of each collected file."""
    folder = Path(settings.STATIC_ROOT)
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != STAMP}


def test_files_are_collected_once(settings: Settings) -> None:
    assert collect_static_files()
    assert collected(settings) == {"page.css": "a {}"}
    assert not collect_static_files()


def test_a_new_file_is_collected(settings: Settings, source: Path) -> None:
    collect_static_files()
    (source / "new.css").write_text("b {}")
    assert collect_static_files()
    assert collected(settings) == {"page.css": "a {}", "new.css": "b {}"}


def test_a_changed_file_of_the_same_size_is_collected(settings: Settings, source: Path) -> None:
    collect_static_files()
    (source / "page.css").write_text("c {}")
    later = (source / "page.css").stat().st_mtime + 10
    os.utime(source / "page.css", (later, later))
    assert collect_static_files()
    assert collected(settings) == {"page.css": "c {}"}


def test_the_collected_files_of_a_container_image_are_used_as_they_are(
    settings: Settings, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect_static_files()
    os.utime(source / "page.css", (0, 0))
    monkeypatch.setattr(sys, "prefix", str(Path(settings.STATIC_ROOT).parent))
    assert not collect_static_files()


def test_files_are_collected_again_after_their_folder_was_deleted(settings: Settings) -> None:
    collect_static_files()
    for path in Path(settings.STATIC_ROOT).iterdir():
        path.unlink()
    assert collect_static_files()
    assert collected(settings) == {"page.css": "a {}"}


def test_a_collection_that_was_interrupted_is_repeated(
    settings: Settings, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect_static_files()
    (source / "new.css").write_text("b {}")

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(static_files, "call_command", interrupt)
        with pytest.raises(KeyboardInterrupt):
            collect_static_files()
    (source / "new.css").unlink()
    assert collect_static_files()
