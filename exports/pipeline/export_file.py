"""Plan, write and publish one export file. Uses neither Celery nor HTTP, and changes no row of the database."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace

from exports.formats import FORMATS
from exports.formats.base import FileFormat, Section
from exports.models import ExportPart, FileRequest
from exports.pipeline.transitions import PublishedFile, WrittenPart
from exports.stores import Piece, StoredPart, export_store
from readings.columns import columns_or_default
from readings.repositories import Extract, ReadingsRepository
from readings.repositories.chunks import split_into_chunks
from readings.window import Window

PART_READINGS = 500_000
"""About how many readings a part holds. Writing it takes about a second.

Compressed, it is larger than the smallest part that an S3 multipart upload accepts (5 MiB).
"""

Progress = Callable[[int], None]
"""Called with the number of readings or bytes so far. Raises an error when the work is not needed any more."""


def extract(request: FileRequest, repository: ReadingsRepository, *, attempt: str) -> Extract:
    """Prepare the request's readings for any worker. The extract lasts until :func:`remove_leftovers`."""
    return repository.create_extract(_window(request), f"{request.pk}/{attempt}")


def plan(request: FileRequest, readings: Extract) -> list[ExportPart]:
    """Return the parts of the request, in order and not saved. Each has about :data:`PART_READINGS` readings."""
    chunks = split_into_chunks(readings.minute_counts(_window(request)), PART_READINGS)
    return [
        ExportPart(
            request=request,
            number=number,
            start=max(request.start, chunk.start),
            end=min(request.end, chunk.end),
            record_count=chunk.readings,
        )
        for number, chunk in enumerate(chunks)
    ]


def write_part(
    part: ExportPart, repository: ReadingsRepository, *, attempt: str, progress: Progress
) -> WrittenPart:
    """Write the readings of ``part`` to the export store, under a name that only this ``attempt`` uses.

    ``progress`` is called with the number of readings after each frame. The repository may read further frames ahead.

    Raises ``ValueError`` if there are more or fewer readings than planned, and what ``progress`` raises.
    """
    request = part.request
    columns = columns_or_default(request.columns)
    writer = FORMATS[request.format].part_writer(columns)
    window = replace(_window(request), start=part.start, end=part.end)

    def blocks() -> Generator[bytes]:
        records = 0
        extract = repository.open_extract(request.snapshot)
        for readings in extract.frames(window, columns=columns):
            yield writer.write(readings)
            records += len(readings)
            progress(records)
        yield writer.finish()
        if records != part.record_count:
            planned = part.record_count
            raise ValueError(f"The part has {records} readings, but {planned} were planned.")

    # If the store fails, no frame is read any more, although the traceback of the error keeps the generator.
    with closing(blocks()) as content:
        stored = export_store().put_part(f"{request.pk}/{part.number:05}-{attempt}", content)
    return WrittenPart(stored.name, stored.size, writer.format_state())


def publish(request: FileRequest, *, attempt: str, progress: Progress) -> PublishedFile:
    """Join the parts to one file, and make it visible under its final name when it is complete.

    ``progress`` is called with the number of bytes after each block. Raises what it raises; then no
    file is visible.
    """
    file_format = FORMATS[request.format]
    location = f"{request.pk}/run-{int(time.time() * 1000)}-part-r-00000.{file_format.extension}"
    summary = _Summary(progress)
    export_store().join(
        location, _pieces(request, file_format), attempt=attempt, on_block=summary.add
    )
    return PublishedFile(location, summary.size, summary.sha256.hexdigest())


def remove_leftovers(request: FileRequest, repository: ReadingsRepository) -> None:
    """Delete the parts, the extracts and the unpublished files of a final request.

    Its file is deleted too, unless the request is completed and the file has not expired.
    """
    store = export_store()
    store.delete_files(request.pk, keep=request.location if request.is_file_kept else None)
    store.delete_unfinished(request.pk)
    repository.delete_extracts(str(request.pk))


class _Summary:
    """The size and the SHA-256 of the blocks of a file so far."""

    def __init__(self, progress: Progress) -> None:
        self.size = 0
        self.sha256 = hashlib.sha256()
        self._progress = progress

    def add(self, block: bytes) -> None:
        self.sha256.update(block)
        self.size += len(block)
        self._progress(self.size)


def _window(request: FileRequest) -> Window:
    return Window(
        request.start,
        request.end,
        device_ids=request.device_ids,
        arrived_after=request.arrived_after,
        as_of=request.as_of,
    )


def _pieces(request: FileRequest, file_format: FileFormat) -> list[Piece]:
    columns = columns_or_default(request.columns)
    header, header_state = file_format.header(columns)
    pieces: list[Piece] = [header]
    sections = [Section(len(header), header_state)]
    for part in request.parts.order_by("number").iterator():
        assert part.size is not None  # a constraint of the database for written parts
        pieces.append(StoredPart(part.path, part.size))
        sections.append(Section(part.size, part.format_state))
    return [*pieces, file_format.footer(sections, columns)]
