"""Fixtures and functions for tests of exports: two suppliers, readings of a small fleet, and a worker."""

from __future__ import annotations

import gzip
import hashlib
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import polars as pl
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.storage import FileSystemStorage, storages
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from exports.credentials import PREFIX_LENGTH, digest, new_api_key, new_private_key
from exports.file_requests import FileSpec, accept
from exports.formats.base import Section
from exports.models import ApiKey, ExportPart, FileRequest, PartState, Status, Supplier
from exports.pipeline import worker
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from tests.exports.formats.parts import file_of, written_part

START = datetime(2023, 2, 27, 16, tzinfo=UTC)
END = START + timedelta(minutes=40)
FLEET = Fleet(devices=200)
PUBLIC_KEY = (
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDEZoTOqsQI9cNyipv/dt1vaK921jRMgc0yIO6A"
    "p1L4RCh2tDxd2gho9Klz9yaaYPanZbGNvT6KPQQ7/yiG50DzZfJ6/ugbgvaYdurK1Mog3xI6U1y7"
    "5xgF39phJrbaVvaD2Fhqd1xsRnK8l+CqGcgksmVS+sV9jRxd+jIDu0f+11xepgt86DbEsh0WJTMB"
    "Fimip+UC+CTo1/EdmTKe2M1OigdPn9L7UQUIu3UbfIQBTNmkuXqx+YLUoUrsKny4i3qZMJLwkFsq"
    "agJ+qnhpsVlmZOotvuEEk3kiik4SJhBJvylPrYj9FnwAwnEfW8YFfLrGMelLYiqY1OYmcHBN3la/"
)
"""An RSA 2048 public key. Its private key was not kept."""


@cache
def private_key_of(name: str) -> str:
    """Return one private key for each ``name``. A process generates it once, because that takes up to 0.3 s."""
    return new_private_key()


@cache
def fleet_readings() -> pl.DataFrame:
    """Return the readings of :data:`FLEET` from START to END."""
    return pl.concat([readings_for(FLEET, time) for time in FLEET.intervals(START, END)])


@pytest.fixture
def exports_folder(settings: Settings, tmp_path: Path) -> Path:
    """The folder of an export store that only this test uses."""
    folder = tmp_path / "exports"
    folder.mkdir()
    settings.STORAGES = {
        **settings.STORAGES,
        "exports": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": folder},
        },
    }
    return folder


@pytest.fixture
def alice(db: None) -> Supplier:
    """The first supplier."""
    return Supplier.objects.create(name="alice")


@pytest.fixture
def bob(db: None) -> Supplier:
    """A second supplier. It must never see files or requests of the first."""
    return Supplier.objects.create(name="bob")


def create_api_key(supplier: Supplier) -> str:
    """Create and return an API key of the supplier."""
    key = new_api_key()
    ApiKey.objects.create(supplier=supplier, prefix=key[:PREFIX_LENGTH], digest=digest(key))
    return key


def api_client(supplier: Supplier) -> APIClient:
    """Return an API client that sends a new key of the supplier."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {create_api_key(supplier)}")
    return client


@pytest.fixture
def readings(store: ReadingsRepository) -> pl.DataFrame:
    """The readings of a small fleet from START to END, stored in the repository."""
    store.write(fleet_readings())
    return fleet_readings()


@pytest.fixture
def run_steps() -> Callable[[], None]:
    """A function that runs steps until no step can be claimed."""

    def run_all() -> None:
        while worker.run_next_step() is not None:
            pass

    return run_all


@pytest.fixture
def completed(alice: Supplier, exports_folder: Path) -> FileRequest:
    """A completed request of Alice, for all readings. Its rows and its file are stored without workers."""
    return store_completed(alice)


@pytest.fixture
def exported(alice: Supplier, readings: object, run_steps: Callable[[], None]) -> FileRequest:
    """A request of Alice, for all readings, that workers completed."""
    request = accept(alice, FileSpec(START, END))
    run_steps()
    request.refresh_from_db()
    assert request.status == Status.COMPLETED
    return request


def store_completed(supplier: Supplier) -> FileRequest:
    """Store a completed request with its part and its file, as workers leave them, and return it.

    ``tests/exports/pipeline/test_worker.py`` compares it with a request that workers completed.
    """
    now, pk, records = timezone.now(), uuid.uuid4(), len(fleet_readings())
    content, section = _csv_file()
    request = FileRequest.objects.create(
        pk=pk, supplier=supplier, start=START, end=END, status=Status.COMPLETED, snapshot="-", attempts=1,
        submitted_at=now, priority_at=now, running_at=now, finished_at=now, record_count=records,
        location=f"{pk}/run-1-part-r-00000.gz", size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        expires_at=now + timedelta(days=settings.EXPORTS_RETENTION_DAYS),
    )  # fmt: skip
    ExportPart.objects.create(
        request=request, number=0, start=START, end=END, state=PartState.WRITTEN, attempts=1,
        record_count=records, records_done=records, started_at=now, written_at=now,
        path=f"{pk}/00000-attempt", size=section.size, format_state=section.format_state,
    )  # fmt: skip
    path = file_path(request.location)
    path.parent.mkdir()
    path.write_bytes(content)
    return request


@cache
def _csv_file() -> tuple[bytes, Section]:
    """Return the CSV file of the fleet's readings, and the section of its only part."""
    frames = [fleet_readings()]
    return file_of("csv", [frames]), written_part("csv", frames)[1]


@pytest.fixture
def operator(client: Client, admin_user: User) -> Client:
    """A test client with a session of a superuser."""
    client.force_login(admin_user)
    return client


def file_path(location: str) -> Path:
    """Return the path of the file with this ``sftp_location``."""
    storage = storages["exports"]
    assert isinstance(storage, FileSystemStorage)
    return Path(storage.path(location))


def write_private_key(name: str, folder: Path) -> Path:
    """Write the private key of a supplier to a file that OpenSSH accepts, and return its path."""
    key = folder / "key.pem"
    key.write_text(private_key_of(name))
    key.chmod(0o600)
    return key


def expected_csv(readings: pl.DataFrame) -> bytes:
    """Return the readings as the contract's CSV, written without the code under test."""
    lines = [",".join(readings.columns)]
    for row in readings.rows():
        texts = [
            value.strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(value, datetime) else str(value)
            for value in row
        ]
        lines.append(",".join(texts))
    return ("\n".join(lines) + "\n").encode()


def decompressed_file(request: FileRequest) -> bytes:
    """Return the content of the request's file after gunzip."""
    return gzip.decompress(file_path(request.location).read_bytes())
