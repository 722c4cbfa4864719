"""Each server works with the client library that a deployment uses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import psutil
import psycopg
import pytest
import redis
import requests
from botocore.exceptions import ClientError

from tests.services.server_process import Server, ServerError
from tests.services.servers import BUCKET, Moto, Postgres, SeaweedFS, Valkey, postgres_folder

pytestmark = pytest.mark.starts_processes

ROOT = Path(__file__).parents[2]
MIB = 2**20
KEY = "data/sftp/request/run-1-part-r-00000.gz"


@pytest.fixture
def s3(seaweedfs: SeaweedFS) -> Iterator[Any]:
    client = seaweedfs.client()
    yield client
    client.close()


def restart(server: Server, how: str) -> None:
    getattr(server, how)()
    server.start()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_postgres_has_its_rows_after_a_restart(postgres: Postgres, how: str) -> None:
    url = postgres.database(f"rows_after_{how}")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE meters AS SELECT generate_series(1, 1000) AS number")
    restart(postgres, how)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM meters").fetchone() == (1000,)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_valkey_has_its_messages_after_a_restart(valkey: Valkey, how: str) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        client.rpush(f"messages before {how}", "one", "two")
    restart(valkey, how)
    with redis.Redis.from_url(valkey.url) as client:
        assert client.lrange(f"messages before {how}", 0, -1) == [b"one", b"two"]


def test_a_valkey_that_is_not_persistent_is_empty_after_a_restart(tmp_path: Path) -> None:
    with Valkey(tmp_path, persistent=False) as valkey:
        with redis.Redis.from_url(valkey.url) as client:
            client.set("a message", "waits")
        restart(valkey, "kill")
        with redis.Redis.from_url(valkey.url) as client:
            assert client.get("a message") is None


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_seaweedfs_has_objects_and_unfinished_uploads_after_a_restart(
    seaweedfs: SeaweedFS, s3: Any, how: str
) -> None:
    first = os.urandom(5 * MIB)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key=KEY)["UploadId"]
    upload_of = {"Bucket": BUCKET, "Key": KEY, "UploadId": upload}
    tag = s3.upload_part(**upload_of, PartNumber=1, Body=first)["ETag"]
    restart(seaweedfs, how)
    parts = {"Parts": [{"PartNumber": 1, "ETag": tag}]}
    s3.complete_multipart_upload(**upload_of, MultipartUpload=parts)
    assert s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read() == first
    s3.delete_object(Bucket=BUCKET, Key=KEY)


def test_seaweedfs_joins_parts_and_ranges_of_objects_to_one_object(s3: Any) -> None:
    source = os.urandom(12 * MIB)
    s3.put_object(Bucket=BUCKET, Key="parts/one", Body=source)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key=KEY)["UploadId"]
    upload_of = {"Bucket": BUCKET, "Key": KEY, "UploadId": upload}
    listed = s3.list_multipart_uploads(Bucket=BUCKET, Prefix="data/")["Uploads"]
    assert [(entry["Key"], entry["UploadId"]) for entry in listed] == [(KEY, upload)]

    copied = s3.upload_part_copy(
        **upload_of,
        PartNumber=1,
        CopySource={"Bucket": BUCKET, "Key": "parts/one"},
        CopySourceRange=f"bytes={MIB}-{7 * MIB - 1}",
    )["CopyPartResult"]["ETag"]
    sent = s3.upload_part(**upload_of, PartNumber=2, Body=b"the end")["ETag"]
    parts = [{"PartNumber": 1, "ETag": copied}, {"PartNumber": 2, "ETag": sent}]
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket=BUCKET, Key=KEY)
    s3.complete_multipart_upload(**upload_of, MultipartUpload={"Parts": parts})

    joined = source[MIB : 7 * MIB] + b"the end"
    assert s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read() == joined
    partial = s3.get_object(Bucket=BUCKET, Key=KEY, Range=f"bytes={5 * MIB}-{7 * MIB}")
    assert partial["Body"].read() == joined[5 * MIB : 7 * MIB + 1]
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)
    for key in ("parts/one", KEY):
        s3.delete_object(Bucket=BUCKET, Key=key)


def test_a_presigned_link_to_seaweedfs_needs_no_credentials_and_cannot_be_changed(
    s3: Any,
) -> None:
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"0123456789")
    link = s3.generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": KEY}, ExpiresIn=60
    )
    assert requests.get(link, timeout=60).content == b"0123456789"
    assert requests.get(link.replace("part-r", "part-x"), timeout=60).status_code == 403
    s3.delete_object(Bucket=BUCKET, Key=KEY)


def test_moto_transports_messages_and_stores_secrets(moto_server: Moto) -> None:
    # Other tests use the same server.
    name = uuid.uuid4().hex
    [endpoint] = parse_qs(urlsplit(moto_server.url).query)["endpoint_url"]
    sqs = boto3.client("sqs", endpoint_url=endpoint)
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="an id")
    [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert message["Body"] == "an id"

    secrets = boto3.client("secretsmanager", endpoint_url=moto_server.endpoint)
    secrets.create_secret(Name=name, SecretString="a key")
    assert secrets.get_secret_value(SecretId=name)["SecretString"] == "a key"


def test_the_error_of_a_server_that_cannot_start_contains_its_log(postgres: Postgres) -> None:
    with pytest.raises(ServerError, match=r"postmaster\.pid"):
        Postgres(postgres.folder).start()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end a process with its parent")
def test_a_server_ends_when_the_test_process_is_killed() -> None:
    program = (
        "import pathlib, sys, time; from tests.services.servers import Postgres, Valkey\n"
        "home = pathlib.Path(sys.argv[1])\n"
        "servers = [Postgres(home / 'postgres').start(), Valkey(home / 'valkey').start()]\n"
        "print(*(server.process.pid for server in servers), flush=True); time.sleep(60)"
    )
    with postgres_folder() as folder:
        with subprocess.Popen(
            [sys.executable, "-c", program, str(folder)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        ) as tests:
            assert tests.stdout is not None
            servers = [psutil.Process(int(pid)) for pid in tests.stdout.readline().split()]
            assert len(servers) == 2
            tests.send_signal(signal.SIGKILL)
        _, alive = psutil.wait_procs(servers, timeout=60)
        assert not alive
