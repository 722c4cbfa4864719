"""The place for export files in a bucket, on a real S3 server."""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
import requests
from storages.backends.s3 import S3Storage

from exports.stores.base import FileMissingError, Piece
from exports.stores.ranges import BLOCK
from exports.stores.s3 import S3Store
from headend.config.service_urls import exports_storage
from tests.services.servers import BUCKET, SeaweedFS

MIB = 2**20
REQUEST = uuid.UUID("11111111-2222-3333-4444-555555555555")
LOCATION = f"{REQUEST}/run-1-part-r-00000.gz"


@pytest.fixture
def store(seaweedfs: SeaweedFS) -> Iterator[S3Store]:
    """An empty store."""
    store = store_at(seaweedfs.url)
    yield store
    store.remove_unfinished(REQUEST)
    store.remove_files(REQUEST)


def store_at(url: str) -> S3Store:
    return S3Store(S3Storage(**exports_storage(url)["OPTIONS"]))


def keys(seaweedfs: SeaweedFS) -> set[str]:
    # Others have prefixes of their own in the same bucket.
    listed = seaweedfs.client().list_objects_v2(Bucket=BUCKET, Prefix="data/")
    return {entry["Key"] for entry in listed.get("Contents", ())}


def some(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def ignored(chunk: bytes) -> None:
    """Look away."""


@pytest.mark.parametrize(
    "sizes",
    [[10], [2 * MIB, 3 * MIB], [6 * MIB, 100, 7 * MIB, 3 * MIB, 4 * MIB], [5 * MIB, 9 * MIB + 1]],
    ids=str,
)
def test_parts_become_one_object_under_the_references_key(
    store: S3Store, seaweedfs: SeaweedFS, sizes: list[int]
) -> None:
    contents = [some(size) for size in sizes]
    stored = [
        store.put_part(f"{REQUEST}/{number:05}-try", iter([content[:7], content[7:]]))
        for number, content in enumerate(contents)
    ]
    pieces: list[Piece] = [b"opening", *stored, b"closing"]
    seen = hashlib.sha256()
    store.join(LOCATION, pieces, attempt="try", look=seen.update)

    whole = b"".join([b"opening", *contents, b"closing"])
    assert f"data/sftp/{LOCATION}" in keys(seaweedfs)
    with store.open(LOCATION, len(whole)) as file:
        assert file.read() == whole
    assert seen.hexdigest() == hashlib.sha256(whole).hexdigest()


def test_nothing_shows_before_it_is_whole_and_nothing_stays_of_what_was_stopped(
    store: S3Store, seaweedfs: SeaweedFS
) -> None:
    part = store.put_part(f"{REQUEST}/00000-try", iter([some(6 * MIB)]))

    class NoLongerWantedError(Exception):
        pass

    def stop(chunk: bytes) -> None:
        assert f"data/sftp/{LOCATION}" not in keys(seaweedfs)
        raise NoLongerWantedError

    with pytest.raises(NoLongerWantedError):
        store.join(LOCATION, [b"opening", part], attempt="try", look=stop)
    assert f"data/sftp/{LOCATION}" not in keys(seaweedfs)
    assert (
        not seaweedfs.client().list_multipart_uploads(Bucket=BUCKET, Prefix="data/").get("Uploads")
    )


def test_a_part_whose_writing_fails_is_not_there(store: S3Store, seaweedfs: SeaweedFS) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        store.put_part(f"{REQUEST}/00000-try", broken())
    assert keys(seaweedfs) == set()


def test_what_was_abandoned_is_found_and_removed(store: S3Store, seaweedfs: SeaweedFS) -> None:
    store.put_part(f"{REQUEST}/00000-try", iter([b"part"]))
    other = uuid.uuid4()
    client = seaweedfs.client()
    key = f"data/sftp/{other}/run-1-part-r-00000.gz"
    client.create_multipart_upload(Bucket=BUCKET, Key=key)
    client.put_object(Bucket=BUCKET, Key="data/of/somebody/else", Body=b"stays")

    assert set(store.unfinished()) == {REQUEST, other}
    store.remove_unfinished(REQUEST)
    store.remove_unfinished(other)
    assert set(store.unfinished()) == set()
    assert not client.list_multipart_uploads(Bucket=BUCKET, Prefix="data/").get("Uploads")
    assert keys(seaweedfs) == {"data/of/somebody/else"}
    client.delete_object(Bucket=BUCKET, Key="data/of/somebody/else")


def test_a_request_keeps_the_one_file_that_counts(store: S3Store, seaweedfs: SeaweedFS) -> None:
    stray = f"{REQUEST}/run-2-part-r-00000.gz"
    for location in (LOCATION, stray):
        store.join(location, [b"small"], attempt="try", look=ignored)
    store.remove_files(REQUEST, but=LOCATION)
    assert keys(seaweedfs) == {f"data/sftp/{LOCATION}"}


def test_a_reader_goes_anywhere_in_a_file(store: S3Store) -> None:
    whole = some(3 * BLOCK + 17)
    part = store.put_part(f"{REQUEST}/00000-try", iter([whole]))
    store.join(LOCATION, [part], attempt="try", look=ignored)
    draw = random.Random(1)
    with store.open(LOCATION, len(whole)) as file:
        for _ in range(30):
            start = draw.randrange(len(whole) + 10)
            length = draw.choice([1, 32_768, BLOCK + 1])
            file.seek(start)
            assert file.read(length) == whole[start : start + length]
        file.seek(0)
        assert b"".join(iter(lambda: file.read(32_768), b"")) == whole


def test_a_presigned_link_gives_the_file_out_whole_and_by_range(store: S3Store) -> None:
    store.join(LOCATION, [b"0123456789"], attempt="try", look=ignored)
    link = store.presigned_url(LOCATION, "application/gzip", timedelta(minutes=1))
    whole = requests.get(link, timeout=10)
    assert whole.content == b"0123456789"
    assert whole.headers["Content-Type"] == "application/gzip"
    assert "run-1-part-r-00000.gz" in whole.headers["Content-Disposition"]
    part = requests.get(link, headers={"Range": "bytes=3-5"}, timeout=10)
    assert (part.status_code, part.content) == (206, b"345")


def test_a_file_that_is_gone_is_missing(store: S3Store) -> None:
    with store.open(LOCATION, 10) as file, pytest.raises(FileMissingError):
        file.read()


def test_a_bucket_that_is_not_there_fails_the_probe(store: S3Store, seaweedfs: SeaweedFS) -> None:
    store.probe()
    with pytest.raises(Exception, match=r"404|Not Found"):
        store_at(seaweedfs.url.replace(f"s3://{BUCKET}/", "s3://no-such-bucket/")).probe()


def test_joining_a_file_makes_no_new_client(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.probe()

    def refuse(*_: object) -> None:
        raise AssertionError("a client takes a tenth of a second of processor time to make")

    monkeypatch.setattr(S3Storage, "_create_session", refuse)
    part = store.put_part(f"{REQUEST}/00000-try", iter([some(100)]))
    store.join(LOCATION, [b"opening", part, b"closing"], attempt="try", look=ignored)
