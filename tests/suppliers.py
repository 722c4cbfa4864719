"""Fixtures and helpers for tests that export files: two suppliers, a small fleet's readings, and a worker."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from django.contrib.auth.models import User
from django.core.files.storage import FileSystemStorage, storages
from django.test import Client
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from exports.credentials import PREFIX_LENGTH, digest, new_api_key
from exports.file_requests import FileSpec, accept
from exports.models import ApiKey, FileRequest, Status, Supplier
from exports.pipeline import worker
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet

START = datetime(2023, 2, 27, 16, tzinfo=UTC)
END = START + timedelta(minutes=40)
FLEET = Fleet(devices=200)


@pytest.fixture
def exports_folder(settings: Settings, tmp_path: Path) -> Path:
    """The exports of this test alone."""
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
    """A supplier."""
    return Supplier.objects.create(name="alice")


@pytest.fixture
def bob(db: None) -> Supplier:
    """Another supplier, who must never see anything of Alice's."""
    return Supplier.objects.create(name="bob")


def create_api_key(supplier: Supplier) -> str:
    """A fresh API key of the supplier's."""
    key = new_api_key()
    ApiKey.objects.create(supplier=supplier, prefix=key[:PREFIX_LENGTH], digest=digest(key))
    return key


def api_client(supplier: Supplier) -> APIClient:
    """A client that calls with a key of the supplier's."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {create_api_key(supplier)}")
    return client


@pytest.fixture
def readings(store: ReadingsRepository) -> pl.DataFrame:
    """Forty minutes of a small fleet, kept in the deployment's repository."""
    kept = pl.concat([readings_for(FLEET, time) for time in FLEET.intervals(START, END)])
    store.write(kept)
    return kept


@pytest.fixture
def run_steps() -> Callable[[], None]:
    """Do what a worker does until nothing is left that can be taken now."""

    def until_nothing_is_left() -> None:
        while worker.run_next_step() is not None:
            pass

    return until_nothing_is_left


@pytest.fixture
def completed(alice: Supplier, readings: object, run_steps: Callable[[], None]) -> FileRequest:
    """A completed request of Alice's."""
    request = accept(alice, FileSpec(START, END))
    run_steps()
    request.refresh_from_db()
    assert request.status == Status.COMPLETED
    return request


@pytest.fixture
def operator(client: Client, admin_user: User) -> Client:
    """A browser in which an operator is logged in."""
    client.force_login(admin_user)
    return client


def file_path(location: str) -> Path:
    """Where the file of an sftp_location lies."""
    storage = storages["exports"]
    assert isinstance(storage, FileSystemStorage)
    return Path(storage.path(location))


def expected_csv(readings: pl.DataFrame) -> bytes:
    """The readings as the contract writes them, made the plain way."""
    lines = [",".join(readings.columns)]
    for row in readings.rows():
        texts = [
            value.strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(value, datetime) else str(value)
            for value in row
        ]
        lines.append(",".join(texts))
    return ("\n".join(lines) + "\n").encode()


def decompressed_file(request: FileRequest) -> bytes:
    """What a supplier has after gunzip."""
    return gzip.decompress(file_path(request.location).read_bytes())
