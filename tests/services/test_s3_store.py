"""The export store in a bucket, on a real S3 server."""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
import requests
from botocore.exceptions import ClientError
from storages.backends.s3 import S3Storage

from exports.stores.base import FileMissingError, Piece
from exports.stores.object_reader import BLOCK_BYTES
from exports.stores.s3 import S3Store
from headend.config.service_urls import exports_storage
from tests.services.fault_proxy import FaultProxy
from tests.services.servers import BUCKET, SeaweedFS

MIB = 2**20
REQUEST = uuid.UUID("11111111-2222-3333-4444-555555555555")
LOCATION = f"{REQUEST}/run-1-part-r-00000.gz"


@pytest.fixture
def store(seaweedfs: SeaweedFS) -> Iterator[S3Store]:
    """An empty export store in the bucket."""
    store = store_at(seaweedfs.url)
    yield store
    store.delete_unfinished(REQUEST)
    store.delete_files(REQUEST)


def store_at(url: str) -> S3Store:
    return S3Store(S3Storage(**exports_storage(url)["OPTIONS"]))


def keys(seaweedfs: SeaweedFS) -> set[str]:
    # Other tests use other prefixes of the same bucket.
    listed = seaweedfs.client().list_objects_v2(Bucket=BUCKET, Prefix="data/")
    return {entry["Key"] for entry in listed.get("Contents", ())}


def random_bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def ignore(block: bytes) -> None:
    """Do nothing with a block of a joined file."""


@pytest.mark.parametrize(
    "sizes",
    [[10], [2 * MIB, 3 * MIB], [6 * MIB, 100, 7 * MIB, 3 * MIB, 4 * MIB], [5 * MIB, 9 * MIB + 1]],
    ids=str,
)
def test_parts_are_joined_to_one_object_with_the_key_in_the_reference_guide(
    store: S3Store, seaweedfs: SeaweedFS, sizes: list[int]
) -> None:
    contents = [random_bytes(size) for size in sizes]
    stored = [
        store.put_part(f"{REQUEST}/{number:05}-try", iter([content[:7], content[7:]]))
        for number, content in enumerate(contents)
    ]
    pieces: list[Piece] = [b"header", *stored, b"footer"]
    seen = hashlib.sha256()
    store.join(LOCATION, pieces, attempt="try", on_block=seen.update)

    expected = b"".join([b"header", *contents, b"footer"])
    assert f"data/sftp/{LOCATION}" in keys(seaweedfs)
    with store.open(LOCATION, len(expected)) as file:
        assert file.read() == expected
    assert seen.hexdigest() == hashlib.sha256(expected).hexdigest()


def test_the_size_of_a_file_is_that_of_the_bucket(store: S3Store) -> None:
    with pytest.raises(FileMissingError):
        store.size(LOCATION)
    store.join(LOCATION, [b"12345"], attempt="try", on_block=ignore)
    assert store.size(LOCATION) == 5


def test_a_cancelled_join_leaves_no_object_and_no_upload(
    store: S3Store, seaweedfs: SeaweedFS
) -> None:
    part = store.put_part(f"{REQUEST}/00000-try", iter([random_bytes(6 * MIB)]))

    class CancelledError(Exception):
        pass

    def cancel(block: bytes) -> None:
        assert f"data/sftp/{LOCATION}" not in keys(seaweedfs)
        raise CancelledError

    with pytest.raises(CancelledError):
        store.join(LOCATION, [b"header", part], attempt="try", on_block=cancel)
    assert f"data/sftp/{LOCATION}" not in keys(seaweedfs)
    assert (
        not seaweedfs.client().list_multipart_uploads(Bucket=BUCKET, Prefix="data/").get("Uploads")
    )


def test_a_part_is_not_stored_if_writing_it_fails(store: S3Store, seaweedfs: SeaweedFS) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        store.put_part(f"{REQUEST}/00000-try", broken())
    assert keys(seaweedfs) == set()


def test_parts_and_abandoned_uploads_are_found_and_deleted(
    store: S3Store, seaweedfs: SeaweedFS
) -> None:
    store.put_part(f"{REQUEST}/00000-try", iter([b"part"]))
    other = uuid.uuid4()
    client = seaweedfs.client()
    key = f"data/sftp/{other}/run-1-part-r-00000.gz"
    client.create_multipart_upload(Bucket=BUCKET, Key=key)
    client.put_object(Bucket=BUCKET, Key="data/of/another/program", Body=b"stays")

    assert set(store.unfinished_requests()) == {REQUEST, other}
    store.delete_unfinished(REQUEST)
    store.delete_unfinished(other)
    assert set(store.unfinished_requests()) == set()
    assert not client.list_multipart_uploads(Bucket=BUCKET, Prefix="data/").get("Uploads")
    assert keys(seaweedfs) == {"data/of/another/program"}
    client.delete_object(Bucket=BUCKET, Key="data/of/another/program")


def test_all_files_of_a_request_except_one_are_deleted(
    store: S3Store, seaweedfs: SeaweedFS
) -> None:
    stray = f"{REQUEST}/run-2-part-r-00000.gz"
    for location in (LOCATION, stray):
        store.join(location, [b"small"], attempt="try", on_block=ignore)
    store.delete_files(REQUEST, keep=LOCATION)
    assert keys(seaweedfs) == {f"data/sftp/{LOCATION}"}


def test_an_open_file_is_read_at_any_position(store: S3Store) -> None:
    content = random_bytes(3 * BLOCK_BYTES + 17)
    part = store.put_part(f"{REQUEST}/00000-try", iter([content]))
    store.join(LOCATION, [part], attempt="try", on_block=ignore)
    draw = random.Random(1)
    with store.open(LOCATION, len(content)) as file:
        for _ in range(30):
            start = draw.randrange(len(content) + 10)
            length = draw.choice([1, 32_768, BLOCK_BYTES + 1])
            file.seek(start)
            assert file.read(length) == content[start : start + length]
        file.seek(0)
        assert b"".join(iter(lambda: file.read(32_768), b"")) == content


def test_a_presigned_url_serves_the_file_and_its_ranges(store: S3Store) -> None:
    store.join(LOCATION, [b"0123456789"], attempt="try", on_block=ignore)
    url = store.presigned_url(LOCATION, "application/gzip", timedelta(minutes=1))
    complete = requests.get(url, timeout=60)
    assert complete.content == b"0123456789"
    assert complete.headers["Content-Type"] == "application/gzip"
    assert "run-1-part-r-00000.gz" in complete.headers["Content-Disposition"]
    partial = requests.get(url, headers={"Range": "bytes=3-5"}, timeout=60)
    assert (partial.status_code, partial.content) == (206, b"345")


def test_reading_a_missing_object_raises_an_error(store: S3Store) -> None:
    with store.open(LOCATION, 10) as file, pytest.raises(FileMissingError):
        file.read()


def test_a_server_that_does_not_know_boto3s_newer_checksums_stores_reads_and_deletes_files(
    seaweedfs: SeaweedFS,
) -> None:
    with FaultProxy(seaweedfs.endpoint, share=0, knows_checksums=False) as old_server:
        url = f"s3://{BUCKET}/data/sftp?region=us-east-1&endpoint_url={old_server.url}"
        with pytest.raises(ClientError, match="NotImplemented"):
            store_at(url).put_part(f"{REQUEST}/00000-try", iter([b"part"]))
        store = store_at(f"{url}&checksums=when_required")
        parts = [
            store.put_part(f"{REQUEST}/{number:05}-try", iter([random_bytes(6 * MIB)]))
            for number in range(2)
        ]
        store.join(LOCATION, [b"header", *parts], attempt="try", on_block=ignore)
        with store.open(LOCATION, 6 + 12 * MIB) as file:
            assert file.read() == b"header" + 2 * random_bytes(6 * MIB)
        store.delete_unfinished(REQUEST)
        store.delete_files(REQUEST)
    assert keys(seaweedfs) == set()


def test_the_probe_fails_if_the_bucket_does_not_exist(store: S3Store, seaweedfs: SeaweedFS) -> None:
    store.probe()
    with pytest.raises(Exception, match=r"404|Not Found"):
        store_at(seaweedfs.url.replace(f"s3://{BUCKET}/", "s3://no-such-bucket/")).probe()


def test_joining_a_file_creates_no_new_client(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.probe()

    def refuse(*_: object) -> None:
        raise AssertionError("a new client takes a tenth of a second of processor time")

    monkeypatch.setattr(S3Storage, "_create_session", refuse)
    part = store.put_part(f"{REQUEST}/00000-try", iter([random_bytes(100)]))
    store.join(LOCATION, [b"header", part, b"footer"], attempt="try", on_block=ignore)
