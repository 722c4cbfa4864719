"""How many pages of 100 one gunicorn serves to several suppliers at once, and how long the slowest take."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

from benchmarks.http_pages import WebServer, fill, follow
from benchmarks.ratio import Point
from exports.models import Supplier
from exports.suppliers.hand_over import create_api_key

ROUNDS = 3


def measure(folder: Path, *sizes: int) -> Iterator[Point]:
    """Yield two points per number of suppliers. Each supplier has another API key and follows ``next``."""
    keys = [
        create_api_key(Supplier.objects.create(name=f"supplier-{number}"))
        for number in range(max(sizes))
    ]
    fill()
    with WebServer(folder / "web", "headend.wsgi") as server:
        follow(server, keys[:1])  # the first calls open the table
        for suppliers in sizes:
            runs = [follow(server, keys[:suppliers]) for _ in range(ROUNDS)]
            yield Point(
                "pages per second", "pages/s", suppliers,
                statistics.median(pages / seconds for pages, seconds, _ in runs),
            )  # fmt: skip
            yield Point(
                "99th percentile of a page", "ms", suppliers,
                statistics.median(milliseconds for _, _, milliseconds in runs),
            )  # fmt: skip
