"""Accept a request once per Idempotency-Key and within the queue's limit; run it again; its progress."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from exports.file_requests import (
    FileSpec,
    QueueFullError,
    accept,
    progress,
    request_again,
    with_progress,
)
from exports.models import FileRequest, Supplier
from exports.pipeline import export_file, worker
from tests.suppliers import END, FLEET, START, api_client, decompressed_file

SPEC = FileSpec(START, END)


def test_a_full_queue_is_a_429_that_says_when_to_retry(
    alice: Supplier, bob: Supplier, settings: Settings
) -> None:
    settings.EXPORTS_QUEUED_PER_SUPPLIER = 2
    accept(alice, SPEC), accept(alice, SPEC)
    body = {"start_date": START.isoformat(), "end_date": END.isoformat()}
    response = api_client(alice).post("/readings/file", body, format="json")
    assert response.status_code == 429
    assert response.json() == {"error": "2 file requests are queued already; wait for some to run."}
    assert int(response.headers["Retry-After"]) > 0
    assert api_client(bob).post("/readings/file", body, format="json").status_code == 200


def test_an_end_before_the_start_is_refused(alice: Supplier) -> None:
    body = {"start_date": END.isoformat(), "end_date": START.isoformat()}
    response = api_client(alice).post("/readings/file", body, format="json")
    assert response.status_code == 400
    assert response.json() == {"error": "end_date is before start_date."}


@pytest.mark.parametrize(
    ("query", "status", "error"),
    [
        ({"page": "0"}, 400, "page takes a whole number from 1."),
        ({"page": "last"}, 400, "page takes a whole number from 1."),
        ({"page_size": "1001"}, 400, "page_size takes a whole number from 1 to 1000."),
        ({"page": "77"}, 404, "page: there is no page 77; follow next until it is null."),
    ],
)
def test_an_error_of_the_list_says_which_pages_there_are(
    alice: Supplier, query: dict[str, str], status: int, error: str
) -> None:
    answer = api_client(alice).get("/readings/files", query)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


def test_a_full_queue_still_returns_the_request_of_a_repeated_idempotency_key(
    alice: Supplier, settings: Settings
) -> None:
    settings.EXPORTS_QUEUED_PER_SUPPLIER = 1
    first = accept(alice, SPEC, idempotency_key="first")
    assert accept(alice, SPEC, idempotency_key="first") == first
    with pytest.raises(QueueFullError):
        accept(alice, SPEC, idempotency_key="second")


def test_running_a_request_again_makes_a_new_one(
    exported: FileRequest, run_steps: Callable[[], None]
) -> None:
    second = request_again(exported)
    run_steps()
    exported.refresh_from_db()
    second.refresh_from_db()
    assert exported.pk != second.pk
    assert decompressed_file(exported) == decompressed_file(second)


@pytest.mark.usefixtures("readings")
def test_progress_is_the_share_of_the_readings_that_is_written(
    alice: Supplier,
    run_steps: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    monkeypatch.setattr(export_file, "PART_READINGS", len(FLEET.meters))
    request = accept(alice, SPEC)
    assert progress(request) == 0
    for steps, expected in ((1, 0), (3, 1 / 3)):
        for _ in range(steps):
            worker.run_next_step()
        request.refresh_from_db()
        assert progress(request) == pytest.approx(expected)
    with django_assert_num_queries(1):
        [row] = with_progress(FileRequest.objects.all())
        assert progress(row) == pytest.approx(1 / 3)
    run_steps()
    request.refresh_from_db()
    assert progress(request) == 1


def test_the_answer_about_an_unknown_request_names_the_parameter(
    alice: Supplier, bob: Supplier
) -> None:
    for request_id in (str(accept(bob, SPEC).pk), str(uuid4())):
        for method in ("get", "delete"):
            answer = api_client(alice).generic(method, f"/readings/file?request_id={request_id}")
            assert answer.status_code == 404
            assert answer.json() == {"error": "request_id: you have no file request with this id."}
