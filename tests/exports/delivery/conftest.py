"""Fixtures for tests of downloads."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from exports.delivery.links import download_url
from exports.models import FileRequest
from headend.config.service_urls import exports_storage


def signed_path(request: FileRequest, settings: Settings) -> str:
    """Return a signed link without its host, as Django's test client needs it."""
    return download_url(request).removeprefix(settings.HEADEND_PUBLIC_URL)


@pytest.fixture
def bucket_url(completed: FileRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> str:
    """Use a bucket as the export store once the request is completed, and return the URL of its files.

    The bucket does not exist, and nothing connects to it.
    """
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    settings.STORAGES = {
        **settings.STORAGES,
        "exports": exports_storage("s3://bucket/data/sftp?endpoint_url=http://s3.example"),
    }
    return "http://s3.example/bucket/data/sftp"
