"""Create file requests of mixed sizes on a cluster, and compare their files with those of an undisturbed run."""

from __future__ import annotations

import hashlib
import random
import threading
import time
import zlib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from exports.formats import FORMATS
from readings.instants import format_instant
from tests.services.cluster import Cluster
from tests.services.servers import BUCKET

START = datetime(2023, 2, 27, tzinfo=UTC)
FINAL = ("completed", "failed", "skipped")

RequestBody = dict[str, str]


def backfill(*, hours: int) -> tuple[str, ...]:
    """Return the management command that writes the readings of ``hours`` from :data:`START` on."""
    end = START + timedelta(hours=hours) - timedelta(minutes=5)
    return "backfill", "--start", format_instant(START), "--end", format_instant(end)


def mixed_bodies(count: int, *, hours: int, seed: int) -> list[RequestBody]:
    """Return bodies of file requests: random formats, and windows from one interval to ``hours``, mostly short."""
    draw = random.Random(seed)
    bodies = []
    for _ in range(count):
        length = int(hours * 12 * draw.random() ** 4)
        first = draw.randrange(hours * 12 - length)
        bodies.append(
            {
                "start_date": format_instant(START + first * timedelta(minutes=5)),
                "end_date": format_instant(START + (first + length) * timedelta(minutes=5)),
                "format": draw.choice(list(FORMATS)),
            }
        )
    return bodies


def create_requests(cluster: Cluster, bodies: list[RequestBody], *, run: str) -> list[str]:
    """Create the file requests and return their ids.

    A call without a response is repeated with the same Idempotency-Key, which contains ``run``.
    """
    return [
        cluster.call_with_retries(
            "POST", "/readings/file", json=body, headers={"Idempotency-Key": f"{run}-{number}"}
        )["request_id"]
        for number, body in enumerate(bodies)
    ]


def wait_until_final(cluster: Cluster, ids: list[str], *, seconds: float) -> list[dict[str, Any]]:
    """Return the final status of each request, in the order of ``ids``. Fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    statuses = []
    for request_id in ids:
        while True:
            status = cluster.call_with_retries(
                "GET", "/readings/file", params={"request_id": request_id}
            )
            if status["status"] in FINAL:
                statuses.append(status)
                break
            assert time.monotonic() < deadline, (status, cluster.log("worker0"))
            time.sleep(0.2)
    return statuses


@dataclass
class Outcome:
    """The final statuses of file requests, and what the bucket contained during and after the run."""

    statuses: list[dict[str, Any]]
    checksums: dict[str, str]
    """The SHA-256 of every file, by key."""
    incomplete: list[str]
    """Keys of files that were visible before they were complete."""
    leftovers: list[str]
    seconds: float

    def check(self) -> None:
        """Check that all requests completed, that their files are in the bucket, and that nothing is left over."""
        assert {status["status"] for status in self.statuses} == {"completed"}, [
            status for status in self.statuses if status["status"] != "completed"
        ]
        assert self.incomplete == []
        assert self.leftovers == []
        files = {key.rpartition("/sftp/")[2]: sha256 for key, sha256 in self.checksums.items()}
        for status in self.statuses:
            assert files[status["sftp_location"]] == status["sha256"]

    def check_against(self, undisturbed: Outcome) -> None:
        """Check both runs, and that the same requests have the same files in both."""
        self.check()
        undisturbed.check()
        for ours, theirs in zip(self.statuses, undisturbed.statuses, strict=True):
            for key in ("record_count", "size", "sha256"):
                assert ours[key] == theirs[key], (ours, theirs)


def run_requests(
    cluster: Cluster,
    bodies: list[RequestBody],
    disturbance: AbstractContextManager[object] | None = None,
    *,
    pause: float = 0,
) -> Outcome:
    """Create the requests during ``disturbance``, ``pause`` seconds apart, and wait until all are final."""
    started = time.monotonic()
    with BucketWatcher(cluster) as watcher:
        with disturbance or nullcontext():
            ids = []
            for number, body in enumerate(bodies):
                ids += create_requests(cluster, [body], run=f"{started}-{number}")
                time.sleep(pause)
        statuses = wait_until_final(cluster, ids, seconds=600)
        seconds = time.monotonic() - started
        leftovers = find_leftovers(cluster)
    return Outcome(statuses, watcher.checksums, watcher.incomplete, leftovers, seconds)


@dataclass
class BucketWatcher:
    """Lists the bucket five times a second, and checks that each new file is complete when it first appears."""

    cluster: Cluster
    checksums: dict[str, str] = field(default_factory=dict)
    incomplete: list[str] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        # A new client takes a tenth of a second of processor time, so the watcher has one.
        self._client = self.cluster.servers.seaweedfs.client()

    def __enter__(self) -> BucketWatcher:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._check_new_files()
        self._client.close()

    def _run(self) -> None:
        while not self._stopped.wait(0.2):
            self._check_new_files()

    def _check_new_files(self) -> None:
        for key in list_keys(self._client, f"{self.cluster.prefix}/"):
            if key not in self.checksums:
                content = self._client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
                self.checksums[key] = hashlib.sha256(content).hexdigest()
                if not _is_complete(key, content):
                    self.incomplete.append(key)


def _is_complete(key: str, content: bytes) -> bool:
    if key.endswith(".parquet"):
        return content[:4] == content[-4:] == b"PAR1"
    reader = zlib.decompressobj(wbits=31)
    reader.decompress(content)
    return reader.eof and not reader.unused_data


def list_keys(client: Any, prefix: str) -> list[str]:
    """Return the keys in the bucket that start with ``prefix``. ``client`` is a boto3 client."""
    pages = client.get_paginator("list_objects_v2")
    return [
        entry["Key"]
        for page in pages.paginate(Bucket=BUCKET, Prefix=prefix)
        for entry in page.get("Contents", ())
    ]


def find_leftovers(cluster: Cluster) -> list[str]:
    """Return the keys of parts and unfinished uploads that the clean-up has not deleted after five minutes."""
    root = cluster.prefix.partition("/")[0]
    client = cluster.servers.seaweedfs.client()
    deadline = time.monotonic() + 300
    while True:
        parts = list_keys(client, f"{cluster.prefix}.parts/")
        uploads = client.list_multipart_uploads(Bucket=BUCKET, Prefix=root)
        found = parts + [upload["Key"] for upload in uploads.get("Uploads", ())]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(1)
