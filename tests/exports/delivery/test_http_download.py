"""GET /files/…: downloads by signed link and in the portal, complete and in ranges."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from exports.delivery.links import download_path
from exports.file_requests import FileSpec, accept
from exports.models import FileRequest, Supplier
from exports.stores.disk import DiskStore
from tests.exports.delivery.conftest import signed_path
from tests.suppliers import END, START, file_path, store_completed


def body(client: Client, path: str) -> bytes:
    response = client.get(path)
    assert response.status_code == 200
    return response.getvalue()


def test_a_signed_link_downloads_the_file(
    client: Client, completed: FileRequest, settings: Settings
) -> None:
    response = client.get(signed_path(completed, settings))
    assert response.getvalue() == file_path(completed.location).read_bytes()
    assert response["Content-Length"] == str(completed.size)
    assert completed.location.partition("/")[2] in response["Content-Disposition"]


def test_an_operator_needs_no_signature(operator: Client, completed: FileRequest) -> None:
    assert body(operator, download_path(completed)) == file_path(completed.location).read_bytes()


@pytest.mark.parametrize("signature", ["", "?signature=", "?signature=abc:def", "?signature=%00"])
def test_a_missing_or_invalid_signature_is_refused_whether_the_file_exists_or_not(
    client: Client, completed: FileRequest, signature: str
) -> None:
    assert client.get(download_path(completed) + signature).status_code == 403
    assert client.get(f"/files/{completed.pk}/other.gz{signature}").status_code == 403


def test_a_signature_with_one_character_changed_is_refused(
    client: Client, completed: FileRequest, settings: Settings
) -> None:
    link = signed_path(completed, settings)
    changed = link[:-2] + ("A" if link[-2] != "A" else "B") + link[-1]
    assert client.get(changed).status_code == 403


@pytest.mark.parametrize("name", ["other.gz", "..%2Fsecret", "%2Fetc%2Fpasswd", "%00", "x" * 300])
def test_a_wrong_file_name_is_not_found_even_for_an_operator(
    operator: Client, completed: FileRequest, name: str
) -> None:
    response = operator.get(f"/files/{completed.pk}/{name}")
    assert response.status_code == 404
    assert response.json()["error"]


def test_a_queued_request_has_no_file(operator: Client, alice: Supplier) -> None:
    waiting = accept(alice, FileSpec(START, END))
    assert operator.get(f"/files/{waiting.pk}/run-1-part-r-00000.gz").status_code == 404


def test_only_get_and_head_are_allowed(completed: FileRequest) -> None:
    browser = Client(enforce_csrf_checks=True)
    for method in ("POST", "PUT", "DELETE"):
        response = browser.generic(method, download_path(completed))
        assert response.status_code == 405
        assert response["Allow"] == "GET, HEAD"
        assert method in response.json()["error"]


def test_a_signature_is_valid_for_one_file_only(
    client: Client, completed: FileRequest, alice: Supplier, settings: Settings
) -> None:
    other = store_completed(alice)
    signature = signed_path(completed, settings).partition("?")[2]
    assert client.get(f"{download_path(other)}?{signature}").status_code == 403


def test_a_link_expires_after_a_day(
    client: Client, completed: FileRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = signed_path(completed, settings)
    later = timezone.now() + timedelta(hours=24, seconds=1)
    monkeypatch.setattr("django.core.signing.time.time", later.timestamp)
    assert client.get(link).status_code == 403


def test_an_expired_file_is_not_found(
    client: Client, completed: FileRequest, settings: Settings
) -> None:
    link = signed_path(completed, settings)
    FileRequest.objects.update(expired_at=timezone.now())
    assert client.get(link).status_code == 404


def test_a_symbolic_link_in_place_of_the_file_is_not_followed(
    client: Client, completed: FileRequest, settings: Settings, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    path = file_path(completed.location)
    path.unlink()
    path.symlink_to(secret)
    assert client.get(signed_path(completed, settings)).status_code == 404


@pytest.fixture
def content(completed: FileRequest) -> bytes:
    """The completed request's file."""
    return file_path(completed.location).read_bytes()


@pytest.fixture
def etag(completed: FileRequest) -> str:
    """The ETag of the completed request's file."""
    return f'"{completed.sha256}"'


def test_a_download_has_a_type_an_etag_and_accepts_ranges(
    operator: Client, completed: FileRequest, etag: str
) -> None:
    response = operator.get(download_path(completed))
    assert response["ETag"] == etag
    assert response["Accept-Ranges"] == "bytes"
    assert response["Content-Type"] == "application/gzip"


def test_an_interrupted_download_is_resumed(
    operator: Client, completed: FileRequest, content: bytes, etag: str
) -> None:
    response = operator.get(
        download_path(completed), headers={"Range": "bytes=100-", "If-Range": etag}
    )
    assert response.status_code == 206
    assert response["Content-Range"] == f"bytes 100-{len(content) - 1}/{len(content)}"
    assert response["Content-Length"] == str(len(content) - 100)
    assert response.getvalue() == content[100:]


@pytest.mark.parametrize(
    ("requested", "start", "end"),
    [("bytes=0-0", 0, 1), ("bytes=5-9", 5, 10), ("bytes=-7", -7, None), ("bytes=3-99999999", 3, None)],
)  # fmt: skip
def test_a_range_of_the_file_is_sent(
    operator: Client,
    completed: FileRequest,
    content: bytes,
    requested: str,
    start: int,
    end: int | None,
) -> None:
    response = operator.get(download_path(completed), headers={"Range": requested})
    assert response.status_code == 206
    assert response.getvalue() == content[start:end]


def test_a_range_after_the_end_is_not_satisfiable(operator: Client, completed: FileRequest) -> None:
    response = operator.get(download_path(completed), headers={"Range": f"bytes={completed.size}-"})
    assert response.status_code == 416
    assert response["Content-Range"] == f"bytes */{completed.size}"
    assert "Range" in response.json()["error"]


@pytest.mark.parametrize("requested", ["bytes=0-1,5-6", "lines=1-2", "bytes=9-3", "rubbish"])
def test_other_range_headers_get_the_complete_file(
    operator: Client, completed: FileRequest, content: bytes, requested: str
) -> None:
    response = operator.get(download_path(completed), headers={"Range": requested})
    assert response.status_code == 200
    assert response.getvalue() == content


def test_a_download_of_another_file_is_not_resumed_with_this_one(
    operator: Client, completed: FileRequest, content: bytes
) -> None:
    response = operator.get(
        download_path(completed), headers={"Range": "bytes=100-", "If-Range": '"another"'}
    )
    assert response.status_code == 200
    assert response.getvalue() == content


def test_a_file_that_the_client_has_is_not_sent(
    operator: Client, completed: FileRequest, etag: str
) -> None:
    response = operator.get(
        download_path(completed), headers={"If-None-Match": etag, "Range": "bytes=999999999-"}
    )
    assert response.status_code == 304
    assert response["ETag"] == etag
    assert response.content == b""


def test_head_returns_the_headers_and_no_content(
    operator: Client, completed: FileRequest, etag: str
) -> None:
    response = operator.head(download_path(completed), headers={"Range": "bytes=5-"})
    assert response.status_code == 200
    assert response["Content-Length"] == str(completed.size)
    assert response["ETag"] == etag
    assert response.content == b""


def test_links_redirect_to_the_store_if_it_serves_files(
    client: Client, completed: FileRequest, bucket_url: str, settings: Settings
) -> None:
    link = signed_path(completed, settings)
    assert link.startswith(download_path(completed))
    response = client.get(link)
    assert response.status_code == 302
    assert response["Location"].startswith(f"{bucket_url}/{completed.location}?")
    # A link of the store cannot be revoked.
    assert "X-Amz-Expires=60" in response["Location"]
    Supplier.objects.update(active=False)
    assert client.get(link).status_code == 403


def test_a_file_that_the_disk_refuses_to_read_is_a_503_and_one_line_in_the_log(
    operator: Client,
    completed: FileRequest,
    monkeypatch: pytest.MonkeyPatch,
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(DiskStore, "open", refuse)
    response = operator.get(download_path(completed))
    assert response.status_code == 503
    assert "cannot be read now" in response.json()["error"]
    [line] = [line for line in log_lines() if line["logger"] == "headend.portal.downloads"]
    assert line["error"] == "[Errno 13] Permission denied"
    assert "exc_info" not in line
