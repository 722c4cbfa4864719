"""The page of deliveries: sessions, fetches, pushes, webhooks, and what failed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone
from pytest_django.asserts import assertNumQueries

from exports.delivery.transitions import claim, end
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
from headend.portal.deliveries import PAGE


def brought(request: FileRequest, *, succeeded: bool, outcome: str = "") -> Delivery:
    """A push that was tried once and is over."""
    delivery = Delivery.objects.create(request=request, kind=DeliveryKind.PUSH)
    attempt = claim(delivery.pk)
    assert attempt is not None
    end(attempt, outcome, last=True, succeeded=succeeded)
    delivery.refresh_from_db()
    return delivery


def fetched(request: FileRequest, share: float = 1.0) -> FileFetch:
    now = timezone.now()
    return FileFetch.objects.create(
        request=request, way=FetchWay.SFTP, who="SHA256:abc", peer="192.0.2.7",
        bytes_sent=int((request.size or 0) * share), started_at=now, ended_at=now,
    )  # fmt: skip


def session(supplier: Supplier, *, seen: timedelta, ended: bool = False) -> SftpSession:
    at = timezone.now() - seen
    return SftpSession.objects.create(
        supplier=supplier, who="SHA256:abc", peer="192.0.2.7", seen_at=at,
        ended_at=at if ended else None,
    )  # fmt: skip


def test_an_empty_page_says_what_to_do_next(operator: Client, db: None) -> None:
    page = operator.get("/deliveries/").content.decode()
    for sentence in ("Nobody has logged in", "Nobody has fetched", "Nothing has been pushed"):
        assert sentence in page


def test_it_tells_who_is_connected_and_who_was(operator: Client, alice: Supplier) -> None:
    session(alice, seen=timedelta(0))
    session(alice, seen=timedelta(hours=1), ended=True)
    session(alice, seen=LOST_AFTER)
    page = operator.get("/deliveries/").content.decode()
    assert page.count("connected</span>") == 1
    assert page.count("ended <time") == 1
    assert page.count("lost; last seen") == 1


def test_it_tells_what_was_fetched_and_how_much_of_it(
    operator: Client, completed: FileRequest
) -> None:
    fetched(completed)
    fetched(completed, 0.5)
    page = operator.get("/deliveries/").content.decode()
    assert page.count("192.0.2.7") == 2
    assert page.count("of <") == 0
    assert page.count('<span class="faint">of ') == 1


def test_a_delivery_that_was_given_up_is_tried_once_more(
    operator: Client, completed: FileRequest
) -> None:
    failed = brought(completed, succeeded=False, outcome="files.example: Connection refused.")
    page = operator.get("/deliveries/?state=failed").content.decode()
    assert "files.example: Connection refused." in page
    again = f"/deliveries/{failed.pk}/again/"
    assert f'action="{again}"' in page
    answer = operator.post(again, {"back": "/deliveries/?state=failed"})
    assert answer["Location"] == "/deliveries/?state=failed"
    failed.refresh_from_db()
    assert (failed.state, failed.finished_at) == (DeliveryState.PENDING, None)
    attempt = claim(failed.pk)
    assert attempt is not None
    assert attempt.number == 2
    assert "It had not failed." in operator.post(again, follow=True).content.decode()


def test_nobody_is_led_to_another_site(operator: Client, completed: FileRequest) -> None:
    failed = brought(completed, succeeded=False)
    for back in ("https://elsewhere.example/", "//elsewhere.example/", "javascript:alert(1)", ""):
        answer = operator.post(f"/deliveries/{failed.pk}/again/", {"back": back})
        assert answer["Location"] == "/deliveries/"


def test_it_is_narrowed_by_its_address(
    operator: Client, completed: FileRequest, bob: Supplier
) -> None:
    brought(completed, succeeded=True)
    session(bob, seen=timedelta(0))
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
        assert ("meets these filters" in page) is not shown, query
    assert "connected</span>" not in operator.get("/deliveries/?supplier=alice").content.decode()


def test_only_who_may_has_a_failed_delivery_tried_again(
    client: Client, completed: FileRequest, django_user_model: type[User]
) -> None:
    failed = brought(completed, succeeded=False)
    viewer = django_user_model.objects.create_user("viewer", is_staff=True)
    viewer.groups.add(Group.objects.get(name="viewer"))
    client.force_login(viewer)
    assert "Try again" not in client.get("/deliveries/").content.decode()
    assert client.post(f"/deliveries/{failed.pk}/again/").status_code == 403
    viewer.groups.set([Group.objects.get(name="operator")])
    assert "Try again" in client.get("/deliveries/").content.decode()


def test_htmx_gets_what_moves_alone(operator: Client, db: None) -> None:
    page = operator.get("/deliveries/", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in page
    assert "SFTP sessions" in page


@pytest.mark.parametrize("rows", [1, PAGE * 2])
def test_it_takes_as_many_queries_with_more_rows(
    operator: Client, completed: FileRequest, rows: int
) -> None:  # fmt: skip
    for _ in range(rows):
        again = FileRequest.objects.get(pk=completed.pk)
        again.pk = None
        again._state.adding = True
        again.save(force_insert=True)
        brought(again, succeeded=False)
        fetched(again)
        session(completed.supplier, seen=timedelta(0))
    with assertNumQueries(10):
        operator.get("/deliveries/")
