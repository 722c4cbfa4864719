"""Fixtures for tests of downloads and pushes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from exports.delivery import push_keys
from exports.delivery.dispatch import deliver_next
from exports.delivery.links import download_url
from exports.models import Delivery, FileRequest, PushTarget, Supplier
from headend.config.service_urls import exports_storage
from tests.exports.delivery.sftp_receiver import USER, Receiver
from tests.suppliers import PUBLIC_KEY, create_api_key


def signed_path(request: FileRequest, settings: Settings) -> str:
    """Return a signed link without its host, as Django's test client needs it."""
    create_api_key(request.supplier)
    link = download_url(request, request.supplier.api_keys.latest("pk"))
    return link.removeprefix(settings.HEADEND_PUBLIC_URL)


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


@pytest.fixture
def target(alice: Supplier) -> PushTarget:
    """Alice's push target. Her server runs if the test requests ``receiver``; otherwise nothing listens."""
    return PushTarget.objects.create(
        supplier=alice, host="127.0.0.1", port=1, user=USER, host_key=PUBLIC_KEY, folder="/"
    )


@pytest.fixture
def receiver(target: PushTarget, tmp_path: Path, starts_processes: None) -> Iterator[Receiver]:
    """Alice's server, which accepts our key. It is her push target."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    with Receiver(folder, push_keys.public_key(target.supplier)) as running:
        target.port, target.host_key = running.port, running.host_key
        target.full_clean()
        target.save()
        yield running


@pytest.fixture
def delivery(target: PushTarget, exported: FileRequest) -> Delivery:
    """The push of Alice's completed file."""
    return Delivery.objects.get(request=exported)


def attempt(delivery: Delivery) -> str:
    """Make one attempt now and return its outcome."""
    Delivery.objects.update(leased_until=None)
    assert deliver_next()
    delivery.refresh_from_db()
    return delivery.attempt_log.order_by("-number")[0].outcome


def received_files(receiver: Receiver) -> dict[str, bytes]:
    return {
        str(path.relative_to(receiver.folder)): path.read_bytes()
        for path in receiver.folder.rglob("*")
        if path.is_file()
    }
