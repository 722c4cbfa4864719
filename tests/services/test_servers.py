"""Each server does its main work through the library that a deployment reaches it with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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

from tests.services.server import Server, ServerError
from tests.services.servers import BUCKET, Moto, Postgres, SeaweedFS, Valkey

pytestmark = pytest.mark.starts_processes

ROOT = Path(__file__).parents[2]
MIB = 2**20
KEY = "data/sftp/request/run-1-part-r-00000.gz"


@pytest.fixture
def s3(seaweedfs: SeaweedFS) -> Iterator[Any]:
    client = seaweedfs.client()
    yield client
    client.close()


def restart_by(how: str, server: Server) -> None:
    getattr(server, how)()
    server.start()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_postgres_keeps_its_rows_when_it_is_started_again(postgres: Postgres, how: str) -> None:
    url = postgres.database(f"kept_after_{how}")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE meters AS SELECT generate_series(1, 1000) AS number")
    restart_by(how, postgres)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM meters").fetchone() == (1000,)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_valkey_keeps_what_it_was_told_when_it_is_started_again(valkey: Valkey, how: str) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        client.rpush(f"messages before {how}", "one", "two")
    restart_by(how, valkey)
    with redis.Redis.from_url(valkey.url) as client:
        assert client.lrange(f"messages before {how}", 0, -1) == [b"one", b"two"]


def test_a_forgetful_valkey_is_empty_when_it_is_started_again(tmp_path: Path) -> None:
    with Valkey(tmp_path, forgetful=True) as valkey:
        with redis.Redis.from_url(valkey.url) as client:
            client.set("a message", "waits")
        restart_by("kill", valkey)
        with redis.Redis.from_url(valkey.url) as client:
            assert client.get("a message") is None


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_seaweedfs_keeps_objects_and_unfinished_uploads_when_it_is_started_again(
    seaweedfs: SeaweedFS, s3: Any, how: str
) -> None:
    first = os.urandom(5 * MIB)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key=KEY)["UploadId"]
    this = {"Bucket": BUCKET, "Key": KEY, "UploadId": upload}
    tag = s3.upload_part(**this, PartNumber=1, Body=first)["ETag"]
    restart_by(how, seaweedfs)
    parts = {"Parts": [{"PartNumber": 1, "ETag": tag}]}
    s3.complete_multipart_upload(**this, MultipartUpload=parts)
    assert s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read() == first
    s3.delete_object(Bucket=BUCKET, Key=KEY)


def test_parts_of_objects_become_one_object_on_seaweedfs(s3: Any) -> None:
    source = os.urandom(12 * MIB)
    s3.put_object(Bucket=BUCKET, Key="parts/one", Body=source)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key=KEY)["UploadId"]
    this = {"Bucket": BUCKET, "Key": KEY, "UploadId": upload}
    listed = s3.list_multipart_uploads(Bucket=BUCKET, Prefix="data/")["Uploads"]
    assert [(entry["Key"], entry["UploadId"]) for entry in listed] == [(KEY, upload)]

    copied = s3.upload_part_copy(
        **this,
        PartNumber=1,
        CopySource={"Bucket": BUCKET, "Key": "parts/one"},
        CopySourceRange=f"bytes={MIB}-{7 * MIB - 1}",
    )["CopyPartResult"]["ETag"]
    sent = s3.upload_part(**this, PartNumber=2, Body=b"the end")["ETag"]
    parts = [{"PartNumber": 1, "ETag": copied}, {"PartNumber": 2, "ETag": sent}]
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket=BUCKET, Key=KEY)
    s3.complete_multipart_upload(**this, MultipartUpload={"Parts": parts})

    whole = source[MIB : 7 * MIB] + b"the end"
    assert s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read() == whole
    some = s3.get_object(Bucket=BUCKET, Key=KEY, Range=f"bytes={5 * MIB}-{7 * MIB}")
    assert some["Body"].read() == whole[5 * MIB : 7 * MIB + 1]
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)
    for key in ("parts/one", KEY):
        s3.delete_object(Bucket=BUCKET, Key=key)


def test_a_presigned_link_to_seaweedfs_is_good_without_credentials_until_it_is_changed(
    s3: Any,
) -> None:
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"0123456789")
    link = s3.generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": KEY}, ExpiresIn=60
    )
    assert requests.get(link, timeout=10).content == b"0123456789"
    assert requests.get(link.replace("part-r", "part-x"), timeout=10).status_code == 403
    s3.delete_object(Bucket=BUCKET, Key=KEY)


def test_moto_takes_messages_and_keeps_secrets(moto_server: Moto) -> None:
    [endpoint] = parse_qs(urlsplit(moto_server.url).query)["endpoint_url"]
    sqs = boto3.client("sqs", endpoint_url=endpoint)
    queue = sqs.create_queue(QueueName="headend-exports")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="an id")
    [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert message["Body"] == "an id"

    secrets = boto3.client("secretsmanager", endpoint_url=moto_server.endpoint)
    secrets.create_secret(Name="headend/sftp", SecretString="a key")
    assert secrets.get_secret_value(SecretId="headend/sftp")["SecretString"] == "a key"


def test_a_server_that_cannot_start_says_why(postgres: Postgres) -> None:
    with pytest.raises(ServerError, match=r"postmaster\.pid"):
        Postgres(postgres.folder).start()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_server_ends_with_the_tests_even_when_those_are_killed(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, time; from tests.services.servers import Postgres, Valkey\n"
        "home = pathlib.Path(sys.argv[1])\n"
        "servers = [Postgres(home / 'postgres').start(), Valkey(home / 'valkey').start()]\n"
        "print(*(server.process.pid for server in servers), flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as tests:
        assert tests.stdout is not None
        servers = [psutil.Process(int(pid)) for pid in tests.stdout.readline().split()]
        assert len(servers) == 2
        tests.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(servers, timeout=10)
    assert not alive
