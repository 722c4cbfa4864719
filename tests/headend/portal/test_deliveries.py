"""Tests of the deliveries page: SFTP sessions, downloads, pushes and webhooks."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone
from pytest_django.asserts import assertNumQueries

from exports.delivery import transitions
from exports.models import (
    Delivery,
    DeliveryKind,
    DeliveryState,
    FetchWay,
    FileFetch,
    FileRequest,
    SftpSession,
    Supplier,
)
from exports.sftp.session_log import LOST_AFTER
from headend.portal.deliveries import PAGE_SIZE
from tests.headend.portal.markup import get_page


def finished_push(request: FileRequest, *, succeeded: bool, outcome: str = "") -> Delivery:
    """Return a push that ended after one attempt."""
    delivery = Delivery.objects.create(request=request, kind=DeliveryKind.PUSH)
    lease = transitions.claim(delivery.pk)
    assert lease is not None
    end = transitions.succeed if succeeded else transitions.fail
    end(lease, outcome)
    delivery.refresh_from_db()
    return delivery


def failing_push(request: FileRequest, outcome: str, attempts: int = 2) -> Delivery:
    """Return a push that pauses after its last failed attempt."""
    delivery = Delivery.objects.create(request=request, kind=DeliveryKind.PUSH)
    for _ in range(attempts):
        transitions.retry(delivery.pk)
        lease = transitions.claim(delivery.pk)
        assert lease is not None
        transitions.release(lease, outcome)
    delivery.refresh_from_db()
    return delivery


def record_download(request: FileRequest, share: float = 1.0) -> FileFetch:
    """Return the record of an SFTP download of a share of the file."""
    now = timezone.now()
    return FileFetch.objects.create(
        request=request, way=FetchWay.SFTP, who="SHA256:abc", peer="192.0.2.7",
        bytes_sent=int((request.size or 0) * share), started_at=now, ended_at=now,
    )  # fmt: skip


def session(supplier: Supplier, *, age: timedelta, ended: bool = False) -> SftpSession:
    """Return an SFTP session that was last active ``age`` ago, and ended then if ``ended``."""
    at = timezone.now() - age
    return SftpSession.objects.create(
        supplier=supplier, who="SHA256:abc", peer="192.0.2.7", seen_at=at,
        ended_at=at if ended else None,
    )  # fmt: skip


def test_empty_lists_say_what_to_do_next(operator: Client, db: None) -> None:
    page = operator.get("/deliveries/").content.decode()
    for text in ("No SFTP sessions yet", "No downloads yet", "No pushes or webhooks yet"):
        assert text in page


def test_open_ended_and_lost_sessions_are_listed(operator: Client, alice: Supplier) -> None:
    session(alice, age=timedelta(0))
    session(alice, age=timedelta(hours=1), ended=True)
    session(alice, age=LOST_AFTER)
    page = operator.get("/deliveries/").content.decode()
    assert page.count("connected</span>") == 1
    assert page.count("ended <time") == 1
    assert page.count("lost, last seen") == 1


def test_downloads_are_listed_with_the_sent_share_of_the_file(
    operator: Client, completed: FileRequest
) -> None:
    record_download(completed)
    record_download(completed, 0.5)
    page = operator.get("/deliveries/").content.decode()
    assert page.count("192.0.2.7") == 2
    assert page.count("of <") == 0
    assert page.count('<span class="muted">of ') == 1


def test_a_failed_delivery_is_retried(operator: Client, completed: FileRequest) -> None:
    failed = finished_push(completed, succeeded=False, outcome="files.example: Connection refused.")
    page = operator.get("/deliveries/?state=failed").content.decode()
    assert "files.example: Connection refused." in page
    retry = f"/deliveries/{failed.pk}/again/"
    assert f'action="{retry}"' in page
    answer = operator.post(retry, {"back": "/deliveries/?state=failed"})
    assert answer["Location"] == "/deliveries/?state=failed"
    failed.refresh_from_db()
    assert (failed.state, failed.finished_at) == (DeliveryState.PENDING, None)
    lease = transitions.claim(failed.pk)
    assert lease is not None
    assert lease.attempt == 2
    assert "the delivery has not failed" in operator.post(retry, follow=True).content.decode()


def test_a_delivery_that_failed_twice_is_shown_as_failing_with_its_next_attempt(
    operator: Client, completed: FileRequest
) -> None:
    failing = failing_push(completed, "files.example: Connection refused.")
    assert '<option value="failing">Failing</option>' in get_page(operator, "/deliveries/")
    for path in ("/deliveries/", "/deliveries/?state=failing", "/", f"/requests/{completed.pk}/"):
        page = get_page(operator, path)
        assert '<span class="badge failed">failing</span>' in page, path
        assert "files.example: Connection refused." in page, path
        next_attempt = failing.leased_until
        assert next_attempt is not None
        assert f'Next attempt: <time datetime="{next_attempt:%Y-%m-%dT%H:%M:%S}' in page, path
        assert "Retry now" in page, path
    assert "1 push or webhook is failing and will be retried." in get_page(operator, "/")
    answer = operator.post(f"/deliveries/{failing.pk}/again/", {"back": "/"})
    assert answer["Location"] == "/"
    assert [each.pk for each in transitions.due()] == [failing.pk]


def test_a_delivery_that_failed_once_is_pending(operator: Client, completed: FileRequest) -> None:
    failing_push(completed, "files.example: Connection refused.", attempts=1)
    page = get_page(operator, "/deliveries/")
    assert '<span class="badge pending">pending</span>' in page
    assert "Next attempt: <time" in page
    assert "match these filters" in get_page(operator, "/deliveries/?state=failing")
    assert "failing" not in get_page(operator, "/")


def test_the_overview_lists_five_failing_deliveries_and_counts_all(
    operator: Client, completed: FileRequest
) -> None:
    for _ in range(7):
        copy = FileRequest.objects.get(pk=completed.pk)
        copy.pk = uuid.uuid4()
        copy.save(force_insert=True)
        failing_push(copy, "Connection refused.")
    page = get_page(operator, "/")
    assert page.count("Retry now") == 5
    assert "All 7 failing deliveries" in page


def test_a_retry_never_redirects_to_another_site(operator: Client, completed: FileRequest) -> None:
    failed = finished_push(completed, succeeded=False)
    for back in ("https://elsewhere.example/", "//elsewhere.example/", "javascript:alert(1)", ""):
        answer = operator.post(f"/deliveries/{failed.pk}/again/", {"back": back})
        assert answer["Location"] == "/deliveries/"


def test_the_url_query_filters_the_lists(
    operator: Client, completed: FileRequest, bob: Supplier
) -> None:
    finished_push(completed, succeeded=True)
    session(bob, age=timedelta(0))
    for query, shown in (
        ("supplier=alice", True),
        ("supplier=bob", False),
        ("kind=push", True),
        ("kind=webhook", False),
        ("state=delivered", True),
        ("state=failed", False),
        ("state=nonsense", True),
    ):
        page = operator.get(f"/deliveries/?{query}").content.decode()
        assert ('class="badge delivered"' in page) is shown, query
        assert ("match these filters" in page) is not shown, query
    assert "connected</span>" not in operator.get("/deliveries/?supplier=alice").content.decode()


def test_a_retry_needs_the_permission(
    client: Client, completed: FileRequest, django_user_model: type[User]
) -> None:
    failed = finished_push(completed, succeeded=False)
    viewer = django_user_model.objects.create_user("viewer", is_staff=True)
    viewer.groups.add(Group.objects.get(name="viewer"))
    client.force_login(viewer)
    assert "Retry" not in client.get("/deliveries/").content.decode()
    assert client.post(f"/deliveries/{failed.pk}/again/").status_code == 403
    viewer.groups.set([Group.objects.get(name="operator")])
    assert "Retry" in client.get("/deliveries/").content.decode()


def test_htmx_gets_only_the_lists(operator: Client, db: None) -> None:
    page = operator.get("/deliveries/", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in page
    assert "SFTP sessions" in page


@pytest.mark.parametrize("rows", [1, PAGE_SIZE * 2])
def test_the_number_of_queries_does_not_grow_with_the_rows(
    operator: Client, completed: FileRequest, rows: int
) -> None:  # fmt: skip
    for _ in range(rows):
        copy = FileRequest.objects.get(pk=completed.pk)
        copy.pk = None
        copy._state.adding = True
        copy.save(force_insert=True)
        finished_push(copy, succeeded=False)
        record_download(copy)
        session(completed.supplier, age=timedelta(0))
    with assertNumQueries(10):
        operator.get("/deliveries/")
