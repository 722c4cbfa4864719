"""The roles of deploy/aws/headend.yaml allow what each process calls, and nothing else.

A cluster does everything that makes its processes call AWS's services, and its calls are recorded. Its readings are in
a Delta table.
``tests/readings/repositories/test_timestream_permissions.py`` does the same for Timestream.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import boto3
import paramiko
import pytest
import requests

from readings.instants import format_instant
from tests.deploy.aws_template import granted
from tests.deployment import ROOT
from tests.exports.delivery.sftp_receiver import USER, Receiver
from tests.services.aws_calls import KINDS, AwsCalls
from tests.services.cluster import Cluster, Servers
from tests.services.file_requests import START, backfill, create_requests, wait_until_final
from tests.services.servers import Moto, SeaweedFS

BUCKET = "headend-permissions"
"""A bucket with the prefixes of the template."""
QUEUES = ("exports", "readings", "deliveries")
WINDOW = {
    "start_date": format_instant(START),
    "end_date": format_instant(START + timedelta(hours=2)),
}
TASKS = [
    "readings.tasks.sum_up",
    "exports.tasks.tidy",
    "exports.tasks.expire",
    "exports.tasks.verify",
    "readings.tasks.upkeep",
]
"""The last one deletes the readings, because of their age."""
ADD_DELIVERIES = """
from exports.delivery import push_keys
from exports.models import PushTarget, Supplier, Webhook
supplier = Supplier.objects.get()
Supplier.objects.update(can_remove_files=True)
PushTarget.objects.create(
    supplier=supplier, host="127.0.0.1", port={port}, user={user!r}, host_key={host_key!r}, folder="/"
)
Webhook.objects.create(supplier=supplier, url="http://127.0.0.1:9/")
push_keys.public_key(supplier)  # the first call creates the key
push_keys.rotate_key(supplier)
print(push_keys.public_key(supplier))
"""
RUN_TASKS = """
from headend.celery import app
for name in {names!r}:
    app.send_task(name)
"""
SECONDS = 120
NOT_FOUND = f"s3:ListBucket {BUCKET}"
"""Without this permission, S3 answers 403 instead of 404 if an object does not exist."""


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """The supplier's own SFTP server."""
    (tmp_path / "inbox").mkdir()
    with Receiver(tmp_path / "inbox", "") as receiver:
        yield receiver


def settings(aws_calls: AwsCalls, servers: Servers, moto: Moto, kind: str) -> dict[str, str]:
    """Return the settings of the template for a kind of process, whose calls are recorded."""
    bucket = f"region=us-east-1&endpoint_url={aws_calls.proxy(kind, servers.seaweedfs.endpoint)}"
    other = f"region=us-east-1&endpoint_url={aws_calls.proxy(kind, moto.endpoint)}"
    return {
        "READINGS_URL": f"delta+s3://{BUCKET}/readings?{bucket}",
        "EXPORTS_URL": f"s3://{BUCKET}/data/sftp?{bucket}",
        "CELERY_BROKER_URL": f"sqs://permissions?{other}",
        "SECRETS_URL": f"secretsmanager://permissions?{other}",
    }


def create_empty_services(servers: Servers, moto: Moto) -> None:
    """Create the bucket, the queues and the secret without a value that the template creates."""
    servers.seaweedfs.client().create_bucket(Bucket=BUCKET)
    queues = boto3.client("sqs", endpoint_url=moto.endpoint)
    for queue in QUEUES:
        queues.create_queue(QueueName=f"permissions-{queue}")
    secrets = boto3.client("secretsmanager", endpoint_url=moto.endpoint)
    secrets.create_secret(Name="permissions/sftp/private_key")


@pytest.fixture
def cluster(
    servers: Servers, moto_server: Moto, aws_calls: AwsCalls, tmp_path: Path
) -> Iterator[Cluster]:
    """A running cluster, which was set up and checked by ``doctor``, with two hours of readings."""
    create_empty_services(servers, moto_server)
    environments = {kind: settings(aws_calls, servers, moto_server, kind) for kind in KINDS}
    extra = {
        **environments["beat"],
        "SIMULATION_DEVICES": "20000",
        "READINGS_RETENTION_DAYS": "300",
        "WEBHOOK_PRIVATE_ADDRESSES": "on",
    }
    cluster = Cluster(tmp_path / "cluster", servers, workers=1, extra=extra)
    try:
        cluster.set_up(backfill(hours=2), ("doctor",))
        cluster.start(**environments)
        yield cluster
    finally:
        cluster.stop()


def run_script(cluster: Cluster, kind: str, script: str) -> str:
    """Run Python code with the settings of a kind of process, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "--command", script],
        cwd=ROOT, env=cluster.members[kind].environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def sftp_session(cluster: Cluster) -> Iterator[paramiko.SFTPClient]:
    """A session of the default supplier."""
    outputs = cluster.outputs
    key = paramiko.RSAKey.from_private_key_file(outputs["PrivateKeyFile"])
    with (
        socket.create_connection(("127.0.0.1", outputs["SftpPort"])) as connection,
        paramiko.Transport(connection) as transport,
    ):
        transport.connect(username=outputs["SftpUserName"], pkey=key)
        session = transport.open_sftp_client()
        assert session is not None
        yield session


def use_every_service(cluster: Cluster, receiver: Receiver, seaweedfs: SeaweedFS) -> None:
    """Do everything that makes a process call AWS's services."""
    values = {"port": receiver.port, "user": USER, "host_key": receiver.host_key}
    receiver.accepted_key = run_script(cluster, "web", ADD_DELIVERIES.format(**values))
    cluster.call_with_retries("GET", "/readings", params={"start_date": WINDOW["start_date"]})
    assert cluster.call("GET", "/health/ready").status_code == 200
    [status] = wait_until_final(
        cluster, create_requests(cluster, [WINDOW], run="one"), seconds=SECONDS
    )
    assert requests.get(status["download_url"], timeout=SECONDS).ok
    location = status["sftp_location"]
    wait_for_file(receiver.folder / location)
    with sftp_session(cluster) as session:
        with session.open(location) as file:
            assert len(file.read()) == status["size"]
        session.remove(location)
    # A worker that is killed during an upload leaves this.
    key = f"data/sftp/{status['request_id']}/run-1-part-r-00000.gz"
    seaweedfs.client().create_multipart_upload(Bucket=BUCKET, Key=key)
    run_script(cluster, "beat", RUN_TASKS.format(names=TASKS))


def wait_for_file(path: Path) -> None:
    """Wait until the delivery worker has pushed a file."""
    deadline = time.monotonic() + SECONDS
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def differences(aws_calls: AwsCalls) -> dict[str, dict[str, list[str]]]:
    """Return the missing and the unused permissions of each process that has some."""
    found = {}
    for kind in KINDS:
        allowed, used = granted(kind, BUCKET), aws_calls.used[kind]
        missing = {str(each) for each in used if not any(one.allows(each) for one in allowed)}
        unused = {str(one) for one in allowed if not any(one.allows(each) for each in used)}
        unused.discard(NOT_FOUND)
        if missing or unused:
            found[kind] = {"missing": sorted(missing), "unused": sorted(unused)}
    return found


def test_each_role_allows_what_its_process_calls_and_nothing_else(
    cluster: Cluster, receiver: Receiver, aws_calls: AwsCalls, seaweedfs: SeaweedFS
) -> None:
    use_every_service(cluster, receiver, seaweedfs)
    deadline = time.monotonic() + SECONDS
    # The tasks take some time.
    while (found := differences(aws_calls)) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not found, json.dumps(found, indent=1)
