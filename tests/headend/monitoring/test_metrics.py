"""/metrics: what the database knows, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from exports.models import (
    Delivery,
    DeliveryKind,
    DeliveryState,
    ExportPart,
    FetchWay,
    FileFetch,
    FileRequest,
    PartState,
    Status,
    Supplier,
)
from exports.pipeline.steps import WritePart

Scrape = Callable[[], dict[str, float]]
NOW = timezone.now()


@pytest.fixture
def alice(db: None) -> Supplier:
    """A supplier."""
    return Supplier.objects.create(name="alice")


@pytest.fixture
def scrape(client: Client, db: None) -> Scrape:
    """The samples, by name and labels as Prometheus writes them."""

    def samples() -> dict[str, float]:
        answer = client.get("/metrics")
        assert answer.status_code == 200
        assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
        return {
            sample.name
            + "".join(f" {k}={v}" for k, v in sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(answer.content.decode())
            for sample in family.samples
        }

    return samples


def a_request(supplier: Supplier, status: Status, **values: Any) -> FileRequest:
    if status == Status.COMPLETED:
        values = {"location": "x/y", "sha256": "0" * 64, "size": 1, "finished_at": NOW} | values
    return FileRequest.objects.create(
        supplier=supplier, start=NOW, end=NOW, status=status, **values
    )


def a_part(request: FileRequest, number: int, **values: Any) -> ExportPart:
    return ExportPart.objects.create(
        request=request, number=number, start=NOW, end=NOW, record_count=1, **values
    )


def a_written_part(request: FileRequest, number: int, seconds: float) -> ExportPart:
    return a_part(
        request,
        number,
        state=PartState.WRITTEN,
        path="x",
        size=1,
        format_state={},
        started_at=NOW,
        written_at=NOW + timedelta(seconds=seconds),
    )


def test_before_anything_has_happened_all_is_zero(scrape: Scrape) -> None:
    found = scrape()
    assert found["headend_queue_age_seconds"] == 0
    assert found["headend_file_requests status=failed"] == 0
    assert found["headend_deliveries kind=push state=pending"] == 0
    assert found["headend_file_fetches_total way=sftp"] == 0
    assert found["headend_part_seconds_bucket le=+Inf"] == 0
    assert set(found.values()) == {0}


def test_requests_are_counted_by_status(alice: Supplier, scrape: Scrape) -> None:
    for status in (Status.QUEUED, Status.QUEUED, Status.FAILED):
        a_request(alice, status)
    found = scrape()
    assert found["headend_file_requests status=queued"] == 2
    assert found["headend_file_requests status=failed"] == 1
    assert found["headend_file_requests status=running"] == 0


def test_the_queue_is_as_old_as_its_oldest_request(alice: Supplier, scrape: Scrape) -> None:
    for age in (5, 50):
        request = a_request(alice, Status.QUEUED)
        FileRequest.objects.filter(pk=request.pk).update(
            queued_at=timezone.now() - timedelta(minutes=age)
        )
    waited = a_request(alice, Status.FAILED)
    FileRequest.objects.filter(pk=waited.pk).update(queued_at=NOW - timedelta(days=5))
    assert 3000 <= scrape()["headend_queue_age_seconds"] < 4000


def test_readings_count_once_their_file_is_completed(alice: Supplier, scrape: Scrape) -> None:
    a_request(alice, Status.COMPLETED, record_count=100)
    a_request(alice, Status.COMPLETED, record_count=20, expired_at=NOW)
    a_request(alice, Status.RUNNING, record_count=3)
    assert scrape()["headend_readings_exported_total"] == 120


def test_parts_that_wait_and_parts_being_written_are_told_apart(
    alice: Supplier, scrape: Scrape
) -> None:
    running, cancelled = a_request(alice, Status.RUNNING), a_request(alice, Status.FAILED)
    for number in range(3):
        a_part(running, number)
        a_part(cancelled, number)
    a_part(running, 9)
    assert WritePart.claim(ExportPart.objects.get(number=9).pk)
    left_behind = a_part(running, 10)
    assert WritePart.claim(left_behind.pk)
    ExportPart.objects.filter(pk=left_behind.pk).update(leased_until=NOW - timedelta(minutes=1))
    found = scrape()
    assert found["headend_parts state=pending"] == 4
    assert found["headend_parts state=writing"] == 1


def test_part_durations_are_a_histogram_of_the_last_day(alice: Supplier, scrape: Scrape) -> None:
    recent, old = a_request(alice, Status.RUNNING), a_request(alice, Status.RUNNING)
    FileRequest.objects.filter(pk=old.pk).update(queued_at=NOW - timedelta(days=2))
    for number, seconds in enumerate((0.2, 2, 2, 2000)):
        a_written_part(recent, number, seconds)
        a_written_part(old, number, seconds)
    found = scrape()
    within = {
        bound: found[f"headend_part_seconds_bucket le={bound}"]
        for bound in ("0.1", "0.25", "1", "2.5", "600", "+Inf")
    }
    assert within == {"0.1": 0, "0.25": 1, "1": 1, "2.5": 3, "600": 3, "+Inf": 4}
    assert found["headend_part_seconds_gsum"] == pytest.approx(2004.2)
    assert found["headend_part_seconds_gcount"] == 4


def test_fetches_are_counted_by_way(alice: Supplier, scrape: Scrape) -> None:
    request = a_request(alice, Status.COMPLETED, record_count=1)
    for way, sent in ((FetchWay.SFTP, 10), (FetchWay.SFTP, 5), (FetchWay.LINK, 7)):
        FileFetch.objects.create(
            request=request,
            way=way,
            who="x",
            peer="y",
            bytes_sent=sent,
            started_at=NOW,
            ended_at=NOW,
        )
    found = scrape()
    assert found["headend_file_fetches_total way=sftp"] == 2
    assert found["headend_fetched_bytes_total way=sftp"] == 15
    assert found["headend_fetched_bytes_total way=link"] == 7
    assert found["headend_fetched_bytes_total way=portal"] == 0


def test_deliveries_are_counted_by_kind_and_state(alice: Supplier, scrape: Scrape) -> None:
    request = a_request(alice, Status.COMPLETED, record_count=1)
    Delivery.objects.create(request=request, kind=DeliveryKind.PUSH)
    Delivery.objects.create(request=request, kind=DeliveryKind.WEBHOOK, state=DeliveryState.FAILED)
    found = scrape()
    assert found["headend_deliveries kind=push state=pending"] == 1
    assert found["headend_deliveries kind=webhook state=failed"] == 1
    assert found["headend_deliveries kind=webhook state=delivered"] == 0


def test_a_scrape_needs_no_more_queries_with_more_rows(
    alice: Supplier, scrape: Scrape, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for status in Status.values:
        a_request(alice, Status(status), record_count=1)
    with django_assert_max_num_queries(6):
        scrape()


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer open sesame", 200),
        ("Bearer open", 401),
        ("Token open sesame", 401),
        ("Bearer öffne dich", 401),
        ("", 401),
    ],
)
def test_with_a_token_only_who_has_it_is_answered(
    client: Client, db: None, settings: Settings, authorization: str, status: int
) -> None:
    settings.METRICS_TOKEN = "open sesame"
    answer = client.get("/metrics", headers={"Authorization": authorization})
    assert answer.status_code == status
    if status == 401:
        assert answer["WWW-Authenticate"] == "Bearer"
        assert "error" in answer.json()


@pytest.mark.parametrize(
    ("peer", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("10.0.0.1", {}, 401),
        ("", {}, 401),
        ("10.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 401),
        ("127.0.0.1", {"X-Forwarded-For": "10.0.0.1"}, 401),
        ("127.0.0.1", {"Forwarded": "for=10.0.0.1"}, 401),
    ],
)
def test_without_a_token_only_this_host_is_answered(
    client: Client, db: None, peer: str, headers: dict[str, str], status: int
) -> None:
    assert client.get("/metrics", headers=headers, REMOTE_ADDR=peer).status_code == status


def test_a_database_that_is_down_is_a_503(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OperationalError("it is gone")

    monkeypatch.setattr("exports.metrics._queue_age", refuse)
    monkeypatch.setattr("exports.metrics._requests", lambda: iter(()))
    assert client.get("/metrics").status_code == 503
