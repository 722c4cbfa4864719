"""A supplier that may remove files over SFTP removes its own files, and no others."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paramiko
import pytest
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks
from pytest_django.fixtures import Settings

from exports import message_sender
from exports.delivery.audited_file import Fetcher
from exports.delivery.dispatch import deliver_next
from exports.delivery.webhook import notify
from exports.models import (
    Delivery,
    DeliveryAttempt,
    DeliveryKind,
    DeliveryState,
    FetchWay,
    FileRemoval,
    FileRequest,
    PushTarget,
    SshKey,
    Status,
    Supplier,
    Webhook,
)
from exports.pipeline import transitions
from exports.pipeline.cleanup import expire_files
from exports.sftp.filesystem import (
    PathNotFoundError,
    RemovalNotAllowedError,
    SupplierFilesystem,
    WrongFileTypeError,
)
from exports.tasks import expire
from tests.exports.conftest import Connect
from tests.exports.delivery.conftest import signed_path
from tests.suppliers import PUBLIC_KEY, api_client, file_path, store_completed, write_private_key

FETCHER = Fetcher(FetchWay.SFTP, "SHA256:x", "192.0.2.1")


@pytest.fixture
def removing_alice(alice: Supplier) -> Supplier:
    """Alice, who may remove her files."""
    alice.can_remove_files = True
    alice.save()
    return alice


@pytest.fixture
def removed(removing_alice: Supplier, completed: FileRequest) -> FileRequest:
    """Alice's completed request, whose file she removed."""
    SupplierFilesystem(removing_alice.pk).remove(completed.location, FETCHER)
    completed.refresh_from_db()
    return completed


def test_a_removed_file_is_hidden_recorded_and_deleted(
    removing_alice: Supplier,
    completed: FileRequest,
    log_lines: Callable[[], list[dict[str, Any]]],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    messages: list[str] = []
    monkeypatch.setattr(message_sender, "MAX_WAIT_SECONDS", 60)
    monkeypatch.setattr(expire, "delay", lambda: messages.append("expire"))
    other = store_completed(removing_alice)
    filesystem = SupplierFilesystem(removing_alice.pk)
    with django_capture_on_commit_callbacks(execute=True):
        filesystem.remove(f"/{completed.location}", FETCHER)
    removal = FileRemoval.objects.get()
    assert (removal.request, removal.who, removal.peer) == (completed, "SHA256:x", "192.0.2.1")
    completed.refresh_from_db()
    assert (completed.status, completed.has_file) == (Status.COMPLETED, False)
    assert completed.expired_at == completed.expires_at == removal.at
    [line] = [line for line in log_lines() if line["message"] == "file removed"]
    assert (line["request"], line["who"]) == (str(completed.pk), "SHA256:x")
    assert [entry.name for entry in filesystem.list_folder("/").next_block()] == [str(other.pk)]
    assert messages == ["expire"]
    assert expire_files(by_age=True) == 1
    assert not file_path(completed.location).exists()
    assert file_path(other.location).exists()
    assert expire_files(by_age=True) == 0


def test_a_removed_file_does_not_come_back_and_is_not_removed_twice(
    removing_alice: Supplier, removed: FileRequest
) -> None:
    filesystem = SupplierFilesystem(removing_alice.pk)
    for call in (
        lambda: filesystem.remove(removed.location, FETCHER),
        lambda: filesystem.open(removed.location, FETCHER),
        lambda: filesystem.entry(str(removed.pk)),
    ):
        with pytest.raises(PathNotFoundError):
            call()
    assert not transitions.remove_file(removed.pk, who="SHA256:y", peer="192.0.2.2")
    assert not transitions.expire(removed.pk)
    assert FileRemoval.objects.get().who == "SHA256:x"


def test_a_supplier_without_the_permission_removes_nothing(
    alice: Supplier, completed: FileRequest
) -> None:
    with pytest.raises(RemovalNotAllowedError):
        SupplierFilesystem(alice.pk).remove(completed.location, FETCHER)
    completed.refresh_from_db()
    assert completed.has_file
    assert not FileRemoval.objects.exists()


def test_a_supplier_never_removes_a_file_of_another(
    alice: Supplier, bob: Supplier, completed: FileRequest
) -> None:
    Supplier.objects.update(can_remove_files=True)
    filesystem = SupplierFilesystem(bob.pk)
    for path in (completed.location, f"../{completed.location}", str(completed.pk)):
        with pytest.raises(PathNotFoundError):
            filesystem.remove(path, FETCHER)
    SupplierFilesystem(alice.pk).remove(completed.location, FETCHER)
    # Bob does not learn that the folder existed, either.
    with pytest.raises(PathNotFoundError):
        filesystem.remove_folder(str(completed.pk))


def test_only_files_are_removed(removing_alice: Supplier, completed: FileRequest) -> None:
    filesystem = SupplierFilesystem(removing_alice.pk)
    for path in ("/", str(completed.pk)):
        with pytest.raises(WrongFileTypeError):
            filesystem.remove(path, FETCHER)
        with pytest.raises(RemovalNotAllowedError):
            filesystem.remove_folder(path)
    for path in ("nothing", f"{completed.pk}/nothing", f"{completed.location}/x"):
        with pytest.raises(PathNotFoundError):
            filesystem.remove(path, FETCHER)


def test_a_deactivated_supplier_removes_nothing(
    removing_alice: Supplier, completed: FileRequest
) -> None:
    Supplier.objects.update(active=False)
    with pytest.raises(PathNotFoundError):
        SupplierFilesystem(removing_alice.pk).remove(completed.location, FETCHER)


def test_the_api_and_download_links_do_not_offer_a_removed_file(
    client: Client, removing_alice: Supplier, completed: FileRequest, settings: Settings
) -> None:
    link = signed_path(completed, settings)
    SupplierFilesystem(removing_alice.pk).remove(completed.location, FETCHER)
    api = api_client(removing_alice)
    status = api.get(f"/readings/file?request_id={completed.pk}").json()
    assert status == {
        "request_id": str(completed.pk),
        "status": "completed",
        "record_count": completed.record_count,
    }
    assert api.get("/readings/files").json()["results"] == [status]
    answer = client.get(link)
    assert answer.status_code == 404
    assert answer.json() == {"error": "The file does not exist or has expired."}


def test_the_portal_shows_who_removed_the_file(operator: Client, removed: FileRequest) -> None:
    page = " ".join(operator.get(f"/requests/{removed.pk}/").content.decode().split())
    assert "The supplier removed the file over SFTP on" in page
    assert "<code>SHA256:x</code>, from <code>192.0.2.1</code>" in page
    assert '<span class="badge removed">removed</span>' in page
    assert "expired" not in page
    row = " ".join(operator.get("/requests/").content.decode().split())
    assert '<span class="muted"> removed <time' in row
    assert "Download</a>" not in row
    admin = operator.get("/admin/exports/fileremoval/?q=SHA256:x").content.decode()
    assert str(removed.pk) in admin


def test_a_removed_file_is_not_pushed(removed: FileRequest) -> None:
    PushTarget.objects.create(
        supplier=removed.supplier, host="127.0.0.1", port=1, user="in", host_key=PUBLIC_KEY
    )
    push = Delivery.objects.create(request=removed, kind=DeliveryKind.PUSH)
    assert deliver_next()
    push.refresh_from_db()
    assert push.state == DeliveryState.FAILED
    assert DeliveryAttempt.objects.get().outcome == "The supplier removed the file."


def test_a_late_webhook_call_does_not_name_a_removed_file(
    removed: FileRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "exports.delivery.webhook._post", lambda _, body, **__: bodies.append(json.loads(body))
    )
    target = Webhook(supplier=removed.supplier, url="https://example.com/")
    notify(removed, target, delivery_id=removed.pk)
    [event] = bodies
    assert (event["status"], event["record_count"]) == ("completed", removed.record_count)
    assert (event["sftp_location"], event["size"], event["sha256"]) == (None, None, None)


def test_the_supplier_is_told_why_its_rm_is_refused(
    connect: Connect, alice: Supplier, completed: FileRequest
) -> None:
    with connect() as transport, transport.open_sftp_client() as sftp:
        refused = "not allowed to remove files. The operator can allow it"
        with pytest.raises(PermissionError, match=refused):
            sftp.remove(completed.location)
        with pytest.raises(PermissionError, match="cannot be uploaded or changed"):
            sftp.rename(completed.location, "other")
        with pytest.raises(PermissionError, match="disappears when its file is removed"):
            sftp.rmdir(str(completed.pk))
        # The permission counts from the next command on, even in an open session.
        Supplier.objects.update(can_remove_files=True)
        sftp.remove(completed.location)
        with pytest.raises(FileNotFoundError):
            sftp.remove(completed.location)
        assert sftp.listdir("/") == []


def test_openssh_fetches_and_removes(
    sftp_port: int,
    alices_key: tuple[SshKey, paramiko.PKey],
    removing_alice: Supplier,
    completed: FileRequest,
    tmp_path: Path,
) -> None:
    key = write_private_key("alice", tmp_path)
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
    commands = f"get {completed.location}\nrm {completed.location}\nrmdir {completed.pk}\n"
    done = subprocess.run(
        [
            *["sftp", "-b", "-", "-i", str(key), "-P", str(sftp_port)],
            *(word for option in options for word in ("-o", option)),
            "alice@127.0.0.1",
        ],
        input=commands, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    fetched = tmp_path / Path(completed.location).name
    assert fetched.read_bytes() == file_path(completed.location).read_bytes()
    removal = FileRemoval.objects.get()
    assert (removal.who, removal.peer) == (alices_key[0].fingerprint, "127.0.0.1")
