"""Plan, write the parts, publish: from a window of readings to one file. Knows no Celery and no HTTP."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import polars as pl
from django.core.files.storage import FileSystemStorage, storages

from exports.formats import FORMATS
from exports.gzip_member import HEADER, Checksum, PartDeflater, trailer
from exports.models import ExportPart, FileRequest
from exports.transitions import PublishedFile, WrittenPart
from readings.repositories import ReadingsRepository, Snapshot
from readings.window import Window

PART_READINGS = 500_000
"""About how many readings a part holds: a second's work, and more than S3's least part when deflated."""
_COPY_BYTES = 1 << 20
_UNFINISHED = ".parts"
_TO_LAST_MICROSECOND = timedelta(minutes=1) - timedelta(microseconds=1)

Progress = Callable[[int], None]
"""Told how many readings or bytes are done so far; raises when the work is no longer wanted."""


def plan(request: FileRequest, snapshot: Snapshot) -> list[ExportPart]:
    """The request's window cut into parts of about :data:`PART_READINGS`, in order; not saved."""
    counts = snapshot.counts(Window(request.start, request.end, as_of=request.as_of))
    stretches = (counts["readings"].cum_sum() - 1) // PART_READINGS
    return [
        ExportPart(
            request=request,
            number=number,
            start=max(request.start, minutes["minute"][0]),
            end=min(request.end, minutes["minute"][-1] + _TO_LAST_MICROSECOND),
            record_count=int(minutes["readings"].sum()),
        )
        for number, minutes in enumerate(_stretches(counts.with_columns(stretches.alias("part"))))
    ]


def _stretches(counts: pl.DataFrame) -> Iterable[pl.DataFrame]:
    return counts.partition_by("part", maintain_order=True) if len(counts) else []


def write_part(
    part: ExportPart, repository: ReadingsRepository, *, attempt: str, progress: Progress
) -> WrittenPart:
    """Write a part's deflated bytes under a name of this attempt's own.

    Memory is bounded by one frame. Raises ``ValueError`` when the readings are not those that were
    planned, and whatever ``progress`` raises.
    """
    request = part.request
    file_format = FORMATS[request.format]
    window = Window(part.start, part.end, as_of=request.as_of)
    name = f"{parts_folder(request)}/{part.number:05}-{attempt}"
    deflater, size, records = PartDeflater(), 0, 0
    with _new_file(name) as file:
        for readings in repository.snapshot(request.snapshot).frames(window):
            size += file.write(deflater.deflate(file_format.rows(readings)))
            records += len(readings)
            progress(records)
        size += file.write(deflater.flush())
    if records != part.record_count:
        raise ValueError(f"{records} readings were read where {part.record_count} were planned.")
    return WrittenPart(name, size, deflater.checksum.length, deflater.checksum.crc32)


def publish(request: FileRequest, *, attempt: str, progress: Progress) -> PublishedFile:
    """Join the parts to one gzip member and show it under its final name, whole.

    Raises whatever ``progress`` raises.
    """
    file_format = FORMATS[request.format]
    aside = f"{parts_folder(request)}/whole-{attempt}"
    location = f"{request.pk}/run-{int(time.time() * 1000)}-part-r-00000.{file_format.extension}"
    sha256, size = hashlib.sha256(), 0
    with _new_file(aside) as file:
        for chunk in _member(request, file_format.head):
            sha256.update(chunk)
            size += file.write(chunk)
            progress(size)
    target = _path(location)
    target.parent.mkdir(exist_ok=True)
    _path(aside).replace(target)
    return PublishedFile(location, size, sha256.hexdigest())


def _member(request: FileRequest, head: bytes) -> Iterator[bytes]:
    opening = PartDeflater()
    yield HEADER + opening.deflate(head) + opening.flush()
    checksum = opening.checksum
    for part in request.parts.order_by("number").iterator():
        # The database's own rule for a written part.
        assert part.crc32 is not None
        assert part.plain_size is not None
        checksum = checksum.followed_by(Checksum(part.crc32, part.plain_size))
        with _path(part.path).open("rb") as file:
            while chunk := file.read(_COPY_BYTES):
                yield chunk
    yield trailer(checksum)


def parts_folder(request: FileRequest) -> str:
    """Where a request's unfinished bytes lie; nothing in it is ever shown."""
    return f"{_UNFINISHED}/{request.pk}"


def requests_with_unfinished_bytes() -> list[uuid.UUID]:
    """The requests that something lies in :func:`parts_folder` of."""
    folder = _path(_UNFINISHED)
    return [uuid.UUID(entry.name) for entry in folder.iterdir()] if folder.is_dir() else []


def remove_leftovers(request: FileRequest) -> None:
    """Remove what a final request's attempts left: files that were not the one, then its parts."""
    folder = _path(str(request.pk))
    if not request.has_file:
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.is_dir():
        for file in folder.iterdir():
            if file != _path(request.location):
                file.unlink(missing_ok=True)
    shutil.rmtree(_path(parts_folder(request)), ignore_errors=True)


def _path(name: str) -> Path:
    storage = storages["exports"]
    assert isinstance(storage, FileSystemStorage)
    return Path(storage.path(name))


@contextmanager
def _new_file(name: str) -> Iterator[BinaryIO]:
    """A new file that is on the disk, not only in its cache, when the block ends well, and gone otherwise."""
    path = _path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
