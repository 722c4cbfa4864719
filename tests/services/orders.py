"""File requests of mixed sizes, made with patience, and what became of them."""

from __future__ import annotations

import hashlib
import random
import threading
import time
import zlib
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from exports.formats import FORMATS
from readings.frame import format_instant
from tests.services.cluster import Cluster
from tests.services.servers import BUCKET

START = datetime(2023, 2, 27, tzinfo=UTC)
FINAL = ("completed", "failed", "skipped")

Order = dict[str, str]


def fill(cluster: Cluster, *, hours: int) -> None:
    """Readings for :func:`mixed` to ask for."""
    end = START + timedelta(hours=hours) - timedelta(minutes=5)
    cluster.manage("backfill", "--start", format_instant(START), "--end", format_instant(end))


def mixed(count: int, *, hours: int, seed: int) -> list[Order]:
    """Windows from one interval to all there is, more small ones than large; formats mixed, too."""
    draw = random.Random(seed)
    orders = []
    for _ in range(count):
        length = int(hours * 12 * draw.random() ** 4)
        first = draw.randrange(hours * 12 - length)
        orders.append(
            {
                "start_date": format_instant(START + first * timedelta(minutes=5)),
                "end_date": format_instant(START + (first + length) * timedelta(minutes=5)),
                "format": draw.choice(list(FORMATS)),
            }
        )
    return orders


def place(cluster: Cluster, orders: list[Order], *, run: str) -> list[str]:
    """Ask for all of them; an answer that was lost is asked for again by its key."""
    return [
        cluster.patient_call(
            "POST", "/readings/file", json=order, headers={"Idempotency-Key": f"{run}-{number}"}
        )["request_id"]
        for number, order in enumerate(orders)
    ]


def wait(cluster: Cluster, ids: list[str], *, seconds: float) -> list[dict[str, Any]]:
    """The final answers, in order."""
    deadline = time.monotonic() + seconds
    answers = []
    for request_id in ids:
        while True:
            answer = cluster.patient_call(
                "GET", "/readings/file", params={"request_id": request_id}
            )
            if answer["status"] in FINAL:
                answers.append(answer)
                break
            assert time.monotonic() < deadline, (answer, cluster.log("worker0"))
            time.sleep(0.2)
    return answers


@dataclass
class Outcome:
    """What became of some orders in trouble, and of the same in quiet."""

    answers: list[dict[str, Any]]
    quiet: list[dict[str, Any]]
    seen: dict[str, str]
    broken: list[str]
    left: list[str]
    seconds: float
    quiet_seconds: float

    def check(self) -> None:
        """What has to be true, whatever happened."""
        assert {answer["status"] for answer in self.answers} == {"completed"}, [
            answer for answer in self.answers if answer["status"] != "completed"
        ]
        for troubled, quiet in zip(self.answers, self.quiet, strict=True):
            for key in ("record_count", "size", "sha256"):
                assert troubled[key] == quiet[key], (troubled, quiet)
        assert self.broken == []
        assert self.left == []
        files = {key.rpartition("/sftp/")[2]: sha256 for key, sha256 in self.seen.items()}
        for answer in self.answers + self.quiet:
            assert files[answer["sftp_location"]] == answer["sha256"]


def in_trouble_and_in_quiet(
    cluster: Cluster, orders: list[Order], trouble: AbstractContextManager[object], *, pause: float
) -> Outcome:
    """Place ``orders`` during ``trouble``, ``pause`` seconds apart, and again when it is over."""
    began = time.monotonic()
    with Watcher(cluster) as watcher:
        with trouble:
            ids = []
            for number, order in enumerate(orders):
                ids += place(cluster, [order], run=f"{began}-{number}")
                time.sleep(pause)
        answers = wait(cluster, ids, seconds=600)
        seconds = time.monotonic() - began
        began = time.monotonic()
        quiet = wait(cluster, place(cluster, orders, run=f"{began}-quiet"), seconds=600)
        quiet_seconds = time.monotonic() - began
        left = leftovers(cluster)
    return Outcome(answers, quiet, watcher.seen, watcher.broken, left, seconds, quiet_seconds)


@dataclass
class Watcher:
    """Looks into the bucket all the time; every file has to be whole when it is first seen."""

    cluster: Cluster
    seen: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watcher:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._stopped.wait(0.2):
            self._look()

    def _look(self) -> None:
        client = self.cluster.servers.seaweedfs.client()
        for key in keys(self.cluster, f"{self.cluster.prefix}/"):
            if key not in self.seen:
                content = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
                self.seen[key] = hashlib.sha256(content).hexdigest()
                if not _is_whole(key, content):
                    self.broken.append(key)


def _is_whole(key: str, content: bytes) -> bool:
    if key.endswith(".parquet"):
        return content[:4] == content[-4:] == b"PAR1"
    reader = zlib.decompressobj(wbits=31)
    reader.decompress(content)
    return reader.eof and not reader.unused_data


def keys(cluster: Cluster, prefix: str) -> list[str]:
    """What lies in the bucket below ``prefix``."""
    pages = cluster.servers.seaweedfs.client().get_paginator("list_objects_v2")
    return [
        entry["Key"]
        for page in pages.paginate(Bucket=BUCKET, Prefix=prefix)
        for entry in page.get("Contents", ())
    ]


def leftovers(cluster: Cluster) -> list[str]:
    """Parts, uploads and files that no request knows, some time after the last one is final."""
    root = cluster.prefix.partition("/")[0]
    deadline = time.monotonic() + 60
    while True:
        parts = keys(cluster, f"{cluster.prefix}.parts/")
        uploads = cluster.servers.seaweedfs.client().list_multipart_uploads(
            Bucket=BUCKET, Prefix=root
        )
        left = parts + [upload["Key"] for upload in uploads.get("Uploads", ())]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(1)
