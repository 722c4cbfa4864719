"""``/metrics`` for Prometheus."""

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
from readings.models import IntervalTotals, LiveArrival

Scrape = Callable[[], dict[str, float]]
NOW = timezone.now()
TOKEN = {"Authorization": "Bearer open sesame"}


@pytest.fixture(autouse=True)
def token(settings: Settings) -> None:
    """Set the token of :data:`TOKEN`."""
    settings.METRICS_TOKEN = "open sesame"


@pytest.fixture
def alice(db: None) -> Supplier:
    """A supplier."""
    return Supplier.objects.create(name="alice")


@pytest.fixture
def scrape(client: Client, db: None) -> Scrape:
    """A function that returns the values of ``/metrics`` by name and labels, as in ``name label=value``."""

    def samples() -> dict[str, float]:
        response = client.get("/metrics", headers=TOKEN)
        assert response.status_code == 200
        assert response["Content-Type"].startswith("text/plain; version=0.0.4")
        return {
            sample.name
            + "".join(f" {k}={v}" for k, v in sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(response.content.decode())
            for sample in family.samples
        }

    return samples


def make_request(supplier: Supplier, status: Status, **values: Any) -> FileRequest:
    if status == Status.COMPLETED:
        values = {"location": "x/y", "sha256": "0" * 64, "size": 1, "finished_at": NOW} | values
    return FileRequest.objects.create(
        supplier=supplier, start=NOW, end=NOW, status=status, **values
    )


def make_part(request: FileRequest, number: int, **values: Any) -> ExportPart:
    return ExportPart.objects.create(
        request=request, number=number, start=NOW, end=NOW, record_count=1, **values
    )


def make_written_part(request: FileRequest, number: int, seconds: float) -> ExportPart:
    return make_part(
        request,
        number,
        state=PartState.WRITTEN,
        path="x",
        size=1,
        format_state={},
        started_at=NOW,
        written_at=NOW + timedelta(seconds=seconds),
    )


def test_all_values_of_an_empty_deployment_are_zero(scrape: Scrape) -> None:
    found = scrape()
    assert found["headend_queue_age_seconds"] == 0
    assert found["headend_file_requests status=failed"] == 0
    assert found["headend_deliveries kind=push state=pending"] == 0
    assert found["headend_file_fetches_total way=sftp"] == 0
    assert found["headend_part_seconds_bucket le=+Inf"] == 0
    assert set(found.values()) == {0}


def test_intervals_without_readings_are_counted(scrape: Scrape) -> None:
    newest = timezone.now() - timedelta(minutes=63)
    for minutes in (0, 15, 30, 45):
        IntervalTotals.objects.create(
            time=newest - timedelta(minutes=minutes), readings=5, late=0, kw=1.0
        )
    assert scrape()["headend_intervals_without_readings"] == 4
    IntervalTotals.objects.create(time=timezone.now(), readings=5, late=0, kw=1.0)
    assert scrape()["headend_intervals_without_readings"] == 0


def test_only_a_feed_can_stop(scrape: Scrape, settings: Settings) -> None:
    a_month_ago = NOW - timedelta(days=30)
    for time in (a_month_ago, a_month_ago - timedelta(hours=1)):
        IntervalTotals.objects.create(time=time, readings=5, late=0, kw=1.0)
    assert scrape()["headend_intervals_without_readings"] == 0  # a loaded file
    LiveArrival.objects.create(at=a_month_ago, readings=5)
    settings.SIMULATION = False
    assert scrape()["headend_intervals_without_readings"] == 0
    settings.SIMULATION = True
    assert scrape()["headend_intervals_without_readings"] >= 30 * 24 - 1


def test_file_requests_are_counted_by_status(alice: Supplier, scrape: Scrape) -> None:
    for status in (Status.QUEUED, Status.QUEUED, Status.FAILED):
        make_request(alice, status)
    found = scrape()
    assert found["headend_file_requests status=queued"] == 2
    assert found["headend_file_requests status=failed"] == 1
    assert found["headend_file_requests status=running"] == 0


def test_the_age_of_the_queue_is_the_age_of_its_oldest_request(
    alice: Supplier, scrape: Scrape
) -> None:
    for age in (5, 50):
        request = make_request(alice, Status.QUEUED)
        FileRequest.objects.filter(pk=request.pk).update(
            queued_at=timezone.now() - timedelta(minutes=age)
        )
    failed = make_request(alice, Status.FAILED)
    FileRequest.objects.filter(pk=failed.pk).update(queued_at=NOW - timedelta(days=5))
    assert 3000 <= scrape()["headend_queue_age_seconds"] < 4000


def test_readings_of_completed_files_are_counted(alice: Supplier, scrape: Scrape) -> None:
    make_request(alice, Status.COMPLETED, record_count=100)
    make_request(alice, Status.COMPLETED, record_count=20, expired_at=NOW)
    make_request(alice, Status.RUNNING, record_count=3)
    assert scrape()["headend_readings_exported_total"] == 120


def test_pending_parts_and_parts_with_a_lease_are_counted_separately(
    alice: Supplier, scrape: Scrape
) -> None:
    running, cancelled = make_request(alice, Status.RUNNING), make_request(alice, Status.FAILED)
    for number in range(3):
        make_part(running, number)
        make_part(cancelled, number)
    make_part(running, 9)
    assert WritePart.claim(ExportPart.objects.get(number=9).pk)
    abandoned = make_part(running, 10)
    assert WritePart.claim(abandoned.pk)
    ExportPart.objects.filter(pk=abandoned.pk).update(leased_until=NOW - timedelta(minutes=1))
    found = scrape()
    assert found["headend_parts state=pending"] == 4
    assert found["headend_parts state=writing"] == 1


def test_durations_of_parts_are_a_histogram_of_the_last_day(
    alice: Supplier, scrape: Scrape
) -> None:
    recent, old = make_request(alice, Status.RUNNING), make_request(alice, Status.RUNNING)
    FileRequest.objects.filter(pk=old.pk).update(queued_at=NOW - timedelta(days=2))
    for number, seconds in enumerate((0.2, 2, 2, 2000)):
        make_written_part(recent, number, seconds)
        make_written_part(old, number, seconds)
    found = scrape()
    within = {
        bound: found[f"headend_part_seconds_bucket le={bound}"]
        for bound in ("0.1", "0.25", "1", "2.5", "600", "+Inf")
    }
    assert within == {"0.1": 0, "0.25": 1, "1": 1, "2.5": 3, "600": 3, "+Inf": 4}
    assert found["headend_part_seconds_gsum"] == pytest.approx(2004.2)
    assert found["headend_part_seconds_gcount"] == 4


def test_downloads_are_counted_by_method(alice: Supplier, scrape: Scrape) -> None:
    request = make_request(alice, Status.COMPLETED, record_count=1)
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
    request = make_request(alice, Status.COMPLETED, record_count=1)
    Delivery.objects.create(request=request, kind=DeliveryKind.PUSH)
    Delivery.objects.create(request=request, kind=DeliveryKind.WEBHOOK, state=DeliveryState.FAILED)
    found = scrape()
    assert found["headend_deliveries kind=push state=pending"] == 1
    assert found["headend_deliveries kind=webhook state=failed"] == 1
    assert found["headend_deliveries kind=webhook state=delivered"] == 0


def test_the_number_of_queries_does_not_grow_with_the_rows(
    alice: Supplier, scrape: Scrape, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for status in Status.values:
        make_request(alice, Status(status), record_count=1)
    with django_assert_max_num_queries(7):
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
def test_with_a_token_only_callers_that_send_it_are_allowed(
    client: Client, db: None, authorization: str, status: int
) -> None:
    response = client.get("/metrics", headers={"Authorization": authorization})
    assert response.status_code == status
    if status == 401:
        assert response["WWW-Authenticate"] == "Bearer"
        assert "error" in response.json()


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Bearer None"])
@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "10.0.0.1"])
def test_without_a_token_no_caller_is_allowed(
    client: Client, peer: str, authorization: str, settings: Settings
) -> None:
    settings.METRICS_TOKEN = ""
    headers = {"Authorization": authorization, "X-Forwarded-For": "127.0.0.1"}
    answer = client.get("/metrics", headers=headers, REMOTE_ADDR=peer)
    assert answer.status_code == 401
    assert "The operator must set METRICS_TOKEN." in answer.json()["error"]


def test_a_scraper_may_use_any_host_and_plain_http(
    client: Client, db: None, settings: Settings
) -> None:
    settings.ALLOWED_HOSTS = ["meters.example"]
    settings.SECURE_SSL_REDIRECT = True
    headers = {**TOKEN, "Host": "10.0.3.7:8000"}
    assert client.get("/metrics", headers=headers).status_code == 200
    assert client.get("/metrics", headers={"Host": "10.0.3.7:8000"}).status_code == 401
    assert client.post("/metrics", headers=headers).status_code == 405


def test_an_unavailable_database_is_a_503(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr("exports.metrics._queue_age", refuse)
    monkeypatch.setattr("exports.metrics._requests", lambda: iter(()))
    assert client.get("/metrics", headers=TOKEN).status_code == 503
