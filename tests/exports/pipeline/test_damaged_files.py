"""A damaged file cannot be fetched and is reported. After it is restored, it is available again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from exports import tasks
from exports.delivery import transitions
from exports.delivery.audited_file import DAMAGED, Fetcher, open_file
from exports.delivery.dispatch import deliver_next
from exports.delivery.links import download_path
from exports.models import (
    Delivery,
    DeliveryKind,
    DeliveryState,
    FetchWay,
    FileRequest,
    PushTarget,
    Supplier,
)
from exports.pipeline import cleanup
from exports.pipeline.verification import verify_files
from exports.sftp.filesystem import PathNotFoundError, SupplierFilesystem
from exports.stores import FileDamagedError
from tests.exports.pipeline.conftest import change_a_byte, end_the_pauses, metric
from tests.suppliers import PUBLIC_KEY, api_client, file_path

LogLines = Callable[[], list[dict[str, Any]]]


def test_a_damaged_file_cannot_be_fetched(
    damaged: FileRequest, alice: Supplier, operator: Client
) -> None:
    with pytest.raises(FileDamagedError):
        open_file(damaged)
    files = SupplierFilesystem(alice.pk)
    assert files.list_folder("/").next_block() == []
    with pytest.raises(PathNotFoundError):
        files.open(damaged.location, Fetcher(FetchWay.SFTP, "key", "127.0.0.1"))
    answer = operator.get(download_path(damaged))
    assert (answer.status_code, answer.json()) == (404, {"error": DAMAGED})
    status = api_client(alice).get("/readings/file", {"request_id": str(damaged.pk)}).json()
    assert (status["status"], status["reason"]) == ("completed", DAMAGED)
    assert {"sftp_location", "download_url"}.isdisjoint(status)


def test_a_push_of_a_damaged_file_waits_until_it_is_restored(
    damaged: FileRequest, alice: Supplier
) -> None:
    PushTarget.objects.create(
        supplier=alice, host="127.0.0.1", port=1, user="u", host_key=PUBLIC_KEY
    )
    delivery = Delivery.objects.create(request=damaged, kind=DeliveryKind.PUSH)
    assert deliver_next()
    assert delivery.attempt_log.get().outcome == DAMAGED
    # It is pushed after it is restored.
    delivery.refresh_from_db()
    assert (delivery.state, delivery.can_be_retried) == (DeliveryState.PENDING, True)


def test_a_push_continues_at_once_when_its_file_is_restored(
    due: FileRequest, alice: Supplier
) -> None:
    content = change_a_byte(due)
    verify_files()
    PushTarget.objects.create(
        supplier=alice, host="127.0.0.1", port=1, user="u", host_key=PUBLIC_KEY
    )
    in_an_hour = timezone.now() + timedelta(hours=1)
    push, _ = [
        Delivery.objects.create(request=due, kind=kind, attempts=6, leased_until=in_an_hour)
        for kind in (DeliveryKind.PUSH, DeliveryKind.WEBHOOK)
    ]
    assert not deliver_next()
    file_path(due.location).write_bytes(content)
    end_the_pauses()
    verify_files()
    assert transitions.due().get() == push


def test_operators_see_a_damaged_file_and_can_request_it_again(
    damaged: FileRequest, operator: Client
) -> None:
    assert "1 stored file is damaged and cannot be fetched." in operator.get("/").content.decode()
    page = operator.get(f"/requests/{damaged.pk}/").content.decode()
    assert damaged.damage in page
    assert "Request again" in page
    assert download_path(damaged) not in page


def test_a_damaged_file_is_kept_and_available_again_when_it_is_restored(
    due: FileRequest, log_lines: LogLines
) -> None:
    content = change_a_byte(due)
    verify_files()
    cleanup.remove_leftovers_if_final(due.pk)
    file_path(due.location).write_bytes(content)
    end_the_pauses()
    tasks.verify_again()
    due.refresh_from_db()
    assert (due.has_file, due.damage) == (True, "")
    with open_file(due) as file:
        assert file.read() == content
    assert "a damaged file was restored" in [line["message"] for line in log_lines()]


def test_a_damaged_file_expires_like_every_other_file(damaged: FileRequest) -> None:
    FileRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert cleanup.expire_files(by_age=True) == 1
    assert not file_path(damaged.location).exists()


def test_the_metric_counts_damaged_files(damaged: FileRequest) -> None:
    assert metric("headend_damaged_files") == 1
    assert metric("headend_unreadable_files") == 0
