"""The temporary folder of an import inside the home folder, and the removal of those that a killed import left."""

from __future__ import annotations

import fcntl
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import polars as pl

from readings.ingest.row_validation import BadFileError
from readings.ingest.stop_request import stop_at_once

_PREFIX = "import-"
_LOCK = "lock"
_LOCKED_AFTER_SECONDS = 60
STANDARD_INPUT = Path("-")
BLOCK_BYTES = 1 << 20
"""How many bytes of a file are read at once."""


class ScratchError(Exception):
    """The temporary folder cannot be written, such as on a full disk. The message is a sentence."""


@contextmanager
def scratch_errors() -> Iterator[None]:
    """Raise :class:`ScratchError` for errors of the disk, including those that Polars raises."""
    try:
        yield
    except (OSError, pl.exceptions.ComputeError) as error:
        # Polars raises "parquet: File out of specification: underlying IO error: No space left on device (os error …)".
        reason = (
            error.strerror
            if isinstance(error, OSError)
            else str(error).rpartition(": ")[2].split(" (")[0]
        )
        raise ScratchError(
            f"its temporary files cannot be written to HEADEND_HOME: {reason}."
        ) from error


@contextmanager
def import_folder(home: Path) -> Iterator[Path]:
    """Create a temporary folder inside ``home``, and delete it at the end. A lock shows that it is in use.

    Raises :class:`ScratchError` if it cannot be created.
    """
    with ExitStack() as stack:
        with scratch_errors():
            folder = Path(stack.enter_context(TemporaryDirectory(dir=home, prefix=_PREFIX)))
            lock = stack.enter_context((folder / _LOCK).open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def save_blocks(blocks: Iterable[bytes], file: Path) -> None:
    """Write the blocks into a file of the temporary folder. Raises :class:`ScratchError`, or what ``blocks`` raises."""
    with stop_at_once(), scratch_errors(), file.open("wb") as target:
        for block in blocks:
            target.write(block)


def remove_abandoned_folders(home: Path) -> int:
    """Delete the folders of imports that were killed. Return how many."""
    abandoned = [folder for folder in home.glob(f"{_PREFIX}*") if _is_abandoned(folder)]
    for folder in abandoned:
        shutil.rmtree(folder, ignore_errors=True)
    return len(abandoned)


def _is_abandoned(folder: Path) -> bool:
    try:
        with (folder / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except FileNotFoundError:
        # An import that has just started has no lock yet.
        return _age_seconds(folder) > _LOCKED_AFTER_SECONDS
    except OSError:
        return False


def _age_seconds(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except OSError:
        return 0


def readable_twice(path: Path, folder: Path) -> Path:
    """Return ``path``, or a copy in ``folder`` of standard input (``-``) or of a pipe, which can be read only once.

    Raises :class:`BadFileError` and :class:`ScratchError`.
    """
    if path == STANDARD_INPUT:
        copy = folder / "standard-input"
        save_blocks(_blocks(sys.stdin.buffer), copy)
        return copy
    if not path.is_fifo():
        return path
    copy = folder / "pipe"
    save_blocks(_blocks_of_pipe(path), copy)
    return copy


def _blocks_of_pipe(path: Path) -> Iterator[bytes]:
    try:
        source = path.open("rb")
    except OSError as error:
        raise BadFileError(f"{error.strerror}.") from None
    with source:
        yield from _blocks(source)


def _blocks(source: BinaryIO) -> Iterator[bytes]:
    try:
        while block := source.read(BLOCK_BYTES):
            yield block
    except OSError as error:
        raise BadFileError(f"{error.strerror}.") from None
