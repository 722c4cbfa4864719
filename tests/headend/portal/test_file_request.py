"""Tests of the page of a file request and of its actions."""

from __future__ import annotations

import re
import uuid

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from pytest_django.asserts import assertNumQueries

from exports.file_requests import FileSpec, accept
from exports.models import (
    Delivery,
    DeliveryAttempt,
    DeliveryKind,
    DeliveryState,
    FetchWay,
    FileFetch,
    FileRequest,
    Status,
    Supplier,
)
from tests.headend.portal.markup import get_page
from tests.suppliers import END, START


@pytest.fixture
def queued(alice: Supplier) -> FileRequest:
    """A request that no worker has claimed."""
    return accept(alice, FileSpec(START, END))


@pytest.fixture
def viewer(client: Client, django_user_model: type[User]) -> Client:
    """The browser of a staff user who may only view file requests."""
    user = django_user_model.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_filerequest"))
    client.force_login(user)
    return client


def page_of(browser: Client, request: FileRequest) -> str:
    """Return the HTML of a file request's page."""
    return get_page(browser, f"/requests/{request.pk}/")


def test_a_completed_request_shows_its_file_and_the_commands_to_download_it(
    operator: Client, completed: FileRequest
) -> None:
    page = page_of(operator, completed)
    assert completed.sha256 in page
    assert f"alice@localhost:{completed.location} ." in page
    assert f"/files/{completed.location}" in page
    for state in ("queued", "submitted", "running", "completed"):
        assert f'<span class="badge {state}">{state}</span> <time' in page
    assert "1,800 of 1,800" in page
    assert "Cancel request" not in page
    assert "hx-get" not in page


def test_downloads_and_delivery_attempts_are_listed(
    operator: Client, completed: FileRequest
) -> None:
    now = timezone.now()
    FileFetch.objects.create(
        request=completed, way=FetchWay.SFTP, who="SHA256:abc", peer="192.0.2.7",
        bytes_sent=2048, started_at=now, ended_at=now,
    )  # fmt: skip
    delivery = Delivery.objects.create(request=completed, kind=DeliveryKind.PUSH)
    DeliveryAttempt.objects.create(
        delivery=delivery, number=1, target="files.example", outcome="Connection refused."
    )
    page = page_of(operator, completed)
    assert "SFTP · SHA256:abc from 192.0.2.7: 2.0\xa0kB" in page
    assert "files.example: Connection refused." in page


def test_a_failed_request_shows_its_reason(operator: Client, queued: FileRequest) -> None:
    rows = FileRequest.objects.filter(pk=queued.pk)
    rows.update(status=Status.FAILED, reason="The disk <is> full.", finished_at=timezone.now())
    assert "The disk &lt;is&gt; full." in page_of(operator, queued)


def test_an_active_request_refreshes_itself_with_htmx(
    operator: Client, queued: FileRequest
) -> None:
    assert f'hx-get="/requests/{queued.pk}/"' in page_of(operator, queued)
    fragment = operator.get(f"/requests/{queued.pk}/", headers={"HX-Request": "true"})
    assert "<html" not in fragment.content.decode()


def test_the_refreshed_part_has_the_actions_of_the_current_status(
    operator: Client, queued: FileRequest
) -> None:
    path = f"/requests/{queued.pk}/"
    page = page_of(operator, queued)
    assert "Cancel request</button>" in page
    FileRequest.objects.filter(pk=queued.pk).update(
        status=Status.FAILED, finished_at=timezone.now()
    )
    fragment = operator.get(path, headers={"HX-Request": "true"}).content.decode()
    assert "Cancel request</button>" not in fragment
    assert "Request again</button>" in fragment
    assert "hx-get" not in fragment


def test_the_page_of_a_final_request_refreshes_itself_while_a_delivery_is_pending(
    operator: Client, completed: FileRequest
) -> None:
    delivery = Delivery.objects.create(request=completed, kind=DeliveryKind.PUSH)
    assert "hx-get" in page_of(operator, completed)
    Delivery.objects.filter(pk=delivery.pk).update(
        state=DeliveryState.DELIVERED, finished_at=timezone.now()
    )
    assert "hx-get" not in page_of(operator, completed)


def test_cancel_asks_for_confirmation(operator: Client, queued: FileRequest) -> None:
    page = page_of(operator, queued)
    assert 'popovertarget="confirm-cancel">Cancel request</button>' in page
    # The only form that cancels is the one with the question. The browser hides it until the user clicks the button.
    [form] = re.findall(rf'<form[^>]*action="/requests/{queued.pk}/cancel/"[^>]*>', page)
    assert 'id="confirm-cancel"' in form
    assert " popover " in form
    assert "Cancel this file request?" in page
    assert "Yes, cancel request" in page


def test_a_queued_request_can_be_cancelled_once(operator: Client, queued: FileRequest) -> None:
    answer = operator.post(f"/requests/{queued.pk}/cancel/", follow=True)
    assert "File request cancelled." in answer.content.decode()
    queued.refresh_from_db()
    assert (queued.status, queued.reason) == (Status.FAILED, "cancelled")
    again = operator.post(f"/requests/{queued.pk}/cancel/", follow=True)
    assert "Nothing to cancel" in again.content.decode()


def test_the_same_window_can_be_requested_again(operator: Client, completed: FileRequest) -> None:
    answer = operator.post(f"/requests/{completed.pk}/again/")
    copy = FileRequest.objects.get(status=Status.QUEUED)
    assert answer["Location"] == f"/requests/{copy.pk}/"
    assert (copy.start, copy.end) == (completed.start, completed.end)


def test_a_viewer_sees_no_actions_and_may_not_call_them(
    viewer: Client, queued: FileRequest
) -> None:
    page = page_of(viewer, queued)
    assert "Cancel request" not in page
    assert "Request again" not in page
    for verb in ("cancel", "again"):
        assert viewer.post(f"/requests/{queued.pk}/{verb}/").status_code == 403
    assert viewer.get("/requests/new/").status_code == 403
    assert "New file request" not in viewer.get("/requests/").content.decode()


def test_actions_reject_get_requests(operator: Client, queued: FileRequest) -> None:
    for verb in ("cancel", "again"):
        assert operator.get(f"/requests/{queued.pk}/{verb}/").status_code == 405


def test_an_unknown_request_is_not_found(operator: Client) -> None:
    assert operator.get(f"/requests/{uuid.uuid4()}/").status_code == 404


def test_the_pages_need_a_login(client: Client, queued: FileRequest) -> None:
    for path in (f"/requests/{queued.pk}/", "/requests/new/", "/requests/estimate/"):
        assert client.get(path)["Location"].startswith("/login/")


def test_the_page_needs_six_queries(operator: Client, completed: FileRequest) -> None:
    with assertNumQueries(6):
        page_of(operator, completed)
