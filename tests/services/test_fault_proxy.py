"""The fault proxy lets exactly the configured calls fail, in the configured way."""

from __future__ import annotations

import http.client
import io
import os
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum

from tests.services.fault_proxy import Fault, FaultProxy
from tests.services.servers import ACCESS_KEY, BUCKET, SECRET_KEY, SeaweedFS

pytestmark = pytest.mark.starts_processes

MIB = 2**20
CONTENT = os.urandom(100_000)
TRAILER_HEADERS = {
    "Content-Encoding": "aws-chunked",
    "X-Amz-Trailer": "x-amz-checksum-crc32",
    "X-Amz-Decoded-Content-Length": str(len(CONTENT)),
}
Client = Callable[..., Any]


@pytest.fixture
def make_client(seaweedfs: SeaweedFS) -> Iterator[Client]:
    """A function that returns a boto3 client of SeaweedFS through a proxy."""
    clients = []

    def make_client(proxy: FaultProxy, *, attempts: int = 1) -> Any:
        clients.append(seaweedfs.client(proxy.url, attempts=attempts))
        return clients[-1]

    yield make_client
    for client in clients:
        client.close()


@pytest.fixture
def stored_key(seaweedfs: SeaweedFS) -> Iterator[str]:
    """The key of an object with ``CONTENT``."""
    client = seaweedfs.client()
    client.put_object(Bucket=BUCKET, Key="stored", Body=CONTENT)
    yield "stored"
    for key in ("stored", "sent"):
        client.delete_object(Bucket=BUCKET, Key=key)
    client.close()


def exists(seaweedfs: SeaweedFS, key: str) -> bool:
    client = seaweedfs.client()
    return key in {
        entry["Key"] for entry in client.list_objects_v2(Bucket=BUCKET).get("Contents", ())
    }


def presigned(seaweedfs: SeaweedFS, proxy: FaultProxy, operation: str, key: str) -> str:
    link: str = seaweedfs.client(proxy.url).generate_presigned_url(
        operation, Params={"Bucket": BUCKET, "Key": key}, ExpiresIn=60
    )
    return link


def always_failing_proxy(seaweedfs: SeaweedFS, kind: Fault) -> FaultProxy:
    return FaultProxy(seaweedfs.endpoint, share=1, kinds=[kind], hang_seconds=0.2)


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [(Fault.INTERNAL_ERROR, "InternalError", 500), (Fault.SLOW_DOWN, "SlowDown", 503)],
)
def test_the_client_gets_an_s3_error_and_the_server_receives_nothing(
    seaweedfs: SeaweedFS, make_client: Client, kind: Fault, code: str, status: int
) -> None:
    with always_failing_proxy(seaweedfs, kind) as proxy:
        with pytest.raises(ClientError) as refused:
            make_client(proxy).put_object(Bucket=BUCKET, Key="sent", Body=CONTENT)
        assert refused.value.response["Error"]["Code"] == code
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
        assert proxy.faults == {kind: 1}
    assert not exists(seaweedfs, "sent")


@pytest.mark.parametrize("kind", [Fault.RESET, Fault.HANG, Fault.CUT_UPLOAD])
def test_an_interrupted_upload_stores_nothing_on_the_server(
    seaweedfs: SeaweedFS, kind: Fault
) -> None:
    with always_failing_proxy(seaweedfs, kind) as proxy:
        link = presigned(seaweedfs, proxy, "put_object", "sent")
        with pytest.raises(requests.ConnectionError):
            requests.put(link, data=CONTENT, timeout=60)
        assert proxy.faults == {kind: 1}
    assert not exists(seaweedfs, "sent")


def test_the_client_receives_half_of_a_response(seaweedfs: SeaweedFS, stored_key: str) -> None:
    with always_failing_proxy(seaweedfs, Fault.CUT_RESPONSE) as proxy:
        link = presigned(seaweedfs, proxy, "get_object", stored_key)
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="50000 bytes read"):
            requests.get(link, timeout=60)
        assert proxy.faults == {Fault.CUT_RESPONSE: 1}


def test_a_response_without_a_body_is_lost_after_the_server_executed_the_call(
    seaweedfs: SeaweedFS,
) -> None:
    with always_failing_proxy(seaweedfs, Fault.CUT_RESPONSE) as proxy:
        link = presigned(seaweedfs, proxy, "put_object", "sent")
        with pytest.raises(requests.ConnectionError):
            requests.put(link, data=CONTENT, timeout=60)
    assert exists(seaweedfs, "sent")
    seaweedfs.client().delete_object(Bucket=BUCKET, Key="sent")


def test_a_call_without_a_body_is_never_cut_as_an_upload(
    seaweedfs: SeaweedFS, stored_key: str
) -> None:
    with always_failing_proxy(seaweedfs, Fault.CUT_UPLOAD) as proxy:
        link = presigned(seaweedfs, proxy, "get_object", stored_key)
        assert requests.get(link, timeout=60).content == CONTENT
        assert not proxy.faults


def test_with_a_share_of_zero_all_calls_pass_and_connections_stay_open(
    seaweedfs: SeaweedFS, make_client: Client, stored_key: str
) -> None:
    with FaultProxy(seaweedfs.endpoint, share=0) as proxy:
        client = make_client(proxy)
        assert client.head_object(Bucket=BUCKET, Key=stored_key)["ContentLength"] == len(CONTENT)
        part = client.get_object(Bucket=BUCKET, Key=stored_key, Range="bytes=10-19")
        assert part["Body"].read() == CONTENT[10:20]
        assert part["ContentRange"] == f"bytes 10-19/{len(CONTENT)}"
        with pytest.raises(ClientError, match="NoSuchKey"):
            client.get_object(Bucket=BUCKET, Key="no such key")
        client.put_object(Bucket=BUCKET, Key="sent", Body=b"")
        client.delete_object(Bucket=BUCKET, Key="sent")
        assert (proxy.calls, proxy.faults) == (5, {})

        connection = http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=60)
        link = presigned(seaweedfs, proxy, "get_object", stored_key)
        sockets = set()
        for _ in range(3):
            connection.request("GET", link.removeprefix(proxy.url))
            sockets.add(connection.sock)
            assert connection.getresponse().read() == CONTENT
        assert len(sockets) == 1
        connection.close()


def test_a_body_in_signed_chunks_with_a_trailing_checksum_passes_unchanged(
    seaweedfs: SeaweedFS, make_client: Client, stored_key: str
) -> None:
    body = AwsChunkedWrapper(
        io.BytesIO(CONTENT), checksum_cls=Crc32Checksum, checksum_name="x-amz-checksum-crc32"
    )
    with FaultProxy(seaweedfs.endpoint, share=0) as proxy:
        call = AWSRequest("PUT", f"{proxy.url}/{BUCKET}/sent", TRAILER_HEADERS)
        call.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
        S3SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "s3", "us-east-1").add_auth(call)
        # requests sends an iterator in HTTP chunks; the chunks of AWS are inside of them.
        blocks = iter(lambda: body.read(10_000), b"")
        answer = requests.put(call.url, data=blocks, headers=dict(call.headers), timeout=60)
        assert answer.status_code == 200, answer.text
        got = make_client(proxy).get_object(Bucket=BUCKET, Key="sent", ChecksumMode="ENABLED")
        assert got["Body"].read() == CONTENT
        assert got["ChecksumCRC32"]


def test_a_hundred_megabytes_pass_in_both_directions(
    seaweedfs: SeaweedFS, make_client: Client
) -> None:
    big = os.urandom(MIB) * 100
    with FaultProxy(seaweedfs.endpoint, share=0) as proxy:
        client = make_client(proxy)
        client.put_object(Bucket=BUCKET, Key="sent", Body=big)
        assert client.get_object(Bucket=BUCKET, Key="sent")["Body"].read() == big
        client.delete_object(Bucket=BUCKET, Key="sent")


def test_the_rarest_fault_comes_first() -> None:
    proxy = FaultProxy("http://127.0.0.1:9", share=1)
    for _ in range(50):
        assert proxy.next_fault(has_body=False) is not Fault.CUT_UPLOAD
    assert proxy.next_fault(has_body=True) is Fault.CUT_UPLOAD
    assert set(proxy.faults) == set(Fault)


def test_the_same_seed_draws_the_same_faults() -> None:
    def drawn(seed: int) -> list[Fault | None]:
        proxy = FaultProxy("http://127.0.0.1:9", seed=seed)
        return [proxy.next_fault(has_body=True) for _ in range(1000)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert set(drawn(1)) == {None, *Fault}
    assert 60 < sum(fault is not None for fault in drawn(1)) < 140


def test_boto3_retries_successfully_if_a_tenth_of_the_calls_fail(
    seaweedfs: SeaweedFS, make_client: Client
) -> None:
    with FaultProxy(seaweedfs.endpoint, seed=3, hang_seconds=0.2) as proxy:
        client = make_client(proxy, attempts=8)
        for number in range(120):
            client.put_object(Bucket=BUCKET, Key="sent", Body=CONTENT)
            received = io.BytesIO()
            client.download_fileobj(BUCKET, "sent", received)
            assert received.getvalue() == CONTENT, number
        assert set(proxy.faults) == set(Fault)
        proxy.share = 0
        client.delete_object(Bucket=BUCKET, Key="sent")
