"""The topics of ``python -m benchmarks``, and what each needs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """A module of this package with a function ``measure(folder)``, which yields a row per comparison.

    ``disk_bytes`` and ``seconds`` are the most that the topic has needed on a machine with 2 cores.
    """

    module: str
    description: str
    disk_bytes: int
    seconds: int


TOPICS = {
    topic.module: topic
    for topic in (
        Topic(
            "generation", "an interval of 50,000 meters, and a backfill of a day", 2 * 10**9, 120
        ),
        Topic("loading", "load of 2,920,000 CSV rows", 3 * 10**9, 180),
        Topic("files", "a file of 2,920,000 readings", 5 * 10**9, 180),
        Topic("export_worker", "a worker that exports small and large files", 3 * 10**9, 120),
        Topic("pages", "pages among 129.6 million readings", 14 * 10**9, 900),
        Topic("corrections", "readings of which one in ten was corrected", 10**9, 30),
        Topic("bucket", "readings in a bucket, with 20 ms for each call", 10**9, 90),
        Topic("clickhouse", "ClickHouse compared with Delta: 14,400,000 readings", 3 * 10**9, 600),
        Topic("http_pages", "pages over HTTP, while a live fleet is written", 10**9, 180),
        Topic("sftp", "a download of 500 MB over SFTP", 4 * 10**9, 200),
        Topic("idle_deployment", "a deployment without clients", 5 * 10**8, 240),
    )
}
