"""Checks of the store of readings and of the store of export files."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.utils import timezone
from django.utils.timesince import timesince

from exports.stores import ExportStore, StoredPart, export_store
from exports.stores.bucket_problem import bucket_problem
from headend.config.program import PROGRAM
from headend.diagnosis.finding import Finding, failed, ok, reason, warning
from readings.described_table import refuse_other_table
from readings.engines import engine_of, without_password
from readings.feed import newest_interval, silent_intervals
from readings.repositories import open_store, repository
from readings.repository_errors import RepositoryUnavailableError

READINGS_HINT = "Correct READINGS_URL and the permissions of this user, and check that its server runs and can be reached from this host."
EXPORTS_HINT = "Correct EXPORTS_URL and the permissions of this user, and check that its server runs and can be reached from this host."
SILENT_INTERVALS = 3
_COPIED_PART = b"\0" * (5 * 2**20)
"""As large as S3's smallest part of a multipart upload, so that the bucket copies it as a part of a real file."""
_LAST_PART = b"headend doctor"


def check_readings() -> list[Finding]:
    """Run the check of ``setup``, and read a reading. A missing table is not created."""
    url = settings.READINGS_URL
    place = f"{engine_of(url).title}, {without_password(url)}"
    try:
        if not open_store(url).exists():
            return [
                failed(
                    f"{place} does not exist",
                    f"Run `{PROGRAM} setup` if the deployment is new. Otherwise mount its disk, or restore the backup of the"
                    " readings.",
                )
            ]
        refuse_other_table(repository())
        repository().check()
        repository().probe()
    except RepositoryUnavailableError as error:
        return [failed(reason(error), READINGS_HINT)]
    return [_feed_finding(place)]


def _feed_finding(place: str) -> Finding:
    now = timezone.now()
    try:
        newest = newest_interval()
        silent = silent_intervals(now, newest)
    except (DatabaseError, InterfaceError):
        # The check of the database reports this error.
        return ok(place)
    if newest is None:
        return ok(f"{place}, no totals of readings yet")
    text = f"{place}, newest interval {timesince(newest, now)} ago".replace("\xa0", " ")
    if silent >= SILENT_INTERVALS:
        return warning(
            f"{text}: {silent:,} intervals have no readings",
            "Check that a worker and beat run, and that the source of the readings works.",
        )
    return ok(text)


def check_exports() -> list[Finding]:
    """Write a file of two parts as a worker does, read it, and delete it."""
    for folder in settings.FOLDERS:
        # A write would create the folder, perhaps where a disk is not mounted.
        if folder.setting == "EXPORTS_URL" and not folder.path.is_dir():
            return [
                failed(
                    f"the folder {folder.path} does not exist",
                    f"Mount its disk, or run `{PROGRAM} setup`.",
                )
            ]
    store = export_store()
    problem = store.problem()
    if problem is None:
        try:
            _write_read_delete(store)
        except Exception as error:
            # boto3 has an error class for each error code, and disks raise OSError.
            problem = reason(error) if isinstance(error, OSError) else bucket_problem(error)
    if problem is not None:
        text, _, hint = problem.partition("; ")
        return [failed(text, f"{hint[:1].upper()}{hint[1:]}." if hint else EXPORTS_HINT)]
    return [ok(f"wrote, read and deleted a file, {without_password(settings.EXPORTS_URL)}")]


def _write_read_delete(store: ExportStore) -> None:
    request = uuid.uuid4()
    location = f"{request}/headend-doctor"
    try:
        parts: list[StoredPart | bytes] = [
            store.put_part(f"{request}/1", [_COPIED_PART]),
            _LAST_PART,
        ]
        store.join(location, parts, attempt="doctor", on_block=lambda block: None)
        size = len(_COPIED_PART) + len(_LAST_PART)
        with store.open(location, size) as file:
            file.seek(len(_COPIED_PART))
            if file.read() != _LAST_PART:
                raise OSError("the file that was read is not the file that was written")
    finally:
        store.delete_unfinished(request)
        store.delete_files(request)
