"""Plan, write the parts, publish: from a window of readings to one file. Knows no Celery and no HTTP."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

import polars as pl

from exports.formats import FORMATS
from exports.formats.base import FileFormat, Section
from exports.models import ExportPart, FileRequest
from exports.pipeline.transitions import PublishedFile, WrittenPart
from exports.stores import Piece, StoredPart, export_store
from readings.repositories import Extract, ReadingsRepository
from readings.window import Window

PART_READINGS = 500_000
"""About how many readings a part holds: a second's work, and more than S3's least part when deflated."""
_TO_LAST_MICROSECOND = timedelta(minutes=1) - timedelta(microseconds=1)

Progress = Callable[[int], None]
"""Told how many readings or bytes are done so far; raises when the work is no longer wanted."""


def extract(request: FileRequest, repository: ReadingsRepository, *, attempt: str) -> Extract:
    """The request's readings, ready to be read by any worker until the request's leftovers are removed."""
    return repository.create_extract(_window(request), f"{request.pk}/{attempt}")


def plan(request: FileRequest, readings: Extract) -> list[ExportPart]:
    """The request's window cut into parts of about :data:`PART_READINGS`, in order; not saved."""
    counts = readings.minute_counts(_window(request))
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


def _window(request: FileRequest) -> Window:
    return Window(request.start, request.end, as_of=request.as_of)


def _stretches(counts: pl.DataFrame) -> Iterable[pl.DataFrame]:
    return counts.partition_by("part", maintain_order=True) if len(counts) else []


def write_part(
    part: ExportPart, repository: ReadingsRepository, *, attempt: str, progress: Progress
) -> WrittenPart:
    """Write a part's bytes under a name of this attempt's own.

    Memory is bounded by one frame. Raises ``ValueError`` when the readings are not those that were
    planned, and whatever ``progress`` raises.
    """
    request = part.request
    writer = FORMATS[request.format].part_writer()
    window = Window(part.start, part.end, as_of=request.as_of)

    def chunks() -> Iterator[bytes]:
        records = 0
        for readings in repository.open_extract(request.snapshot).frames(window):
            yield writer.write(readings)
            records += len(readings)
            progress(records)
        yield writer.finish()
        if records != part.record_count:
            planned = part.record_count
            raise ValueError(f"{records} readings were read where {planned} were planned.")

    stored = export_store().put_part(f"{request.pk}/{part.number:05}-{attempt}", chunks())
    return WrittenPart(stored.name, stored.size, writer.format_state())


def publish(request: FileRequest, *, attempt: str, progress: Progress) -> PublishedFile:
    """Join the parts to one file and show it under its final name, whole.

    Raises whatever ``progress`` raises.
    """
    file_format = FORMATS[request.format]
    location = f"{request.pk}/run-{int(time.time() * 1000)}-part-r-00000.{file_format.extension}"
    sha256, size = hashlib.sha256(), 0

    def on_block(block: bytes) -> None:
        nonlocal size
        sha256.update(block)
        size += len(block)
        progress(size)

    export_store().join(location, _pieces(request, file_format), attempt=attempt, on_block=on_block)
    return PublishedFile(location, size, sha256.hexdigest())


def _pieces(request: FileRequest, file_format: FileFormat) -> list[Piece]:
    header, header_state = file_format.header()
    pieces: list[Piece] = [header]
    sections = [Section(len(header), header_state)]
    for part in request.parts.order_by("number").iterator():
        assert part.size is not None  # the database's own rule for a written part
        pieces.append(StoredPart(part.path, part.size))
        sections.append(Section(part.size, part.note))
    return [*pieces, file_format.footer(sections)]


def remove_leftovers(request: FileRequest, repository: ReadingsRepository) -> None:
    """Remove what a final request's attempts left: files that were not the one, its parts, its extracts."""
    store = export_store()
    store.delete_files(request.pk, keep=request.location if request.has_file else None)
    store.delete_unfinished(request.pk)
    repository.delete_extracts(str(request.pk))
