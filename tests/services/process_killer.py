"""Kill the cluster's processes and its broker at random times; the database and the bucket keep running."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

from tests.services.cluster import Cluster


class ProcessKiller:
    """Kills a random member or the broker ``kills`` times, on average ``pause`` seconds apart.

    Works in a thread from ``__enter__`` on; ``__exit__`` waits for the last kill. ``killed`` counts the kills
    by kind of process. A member restarts itself; the broker is restarted here after a random pause.
    """

    def __init__(self, cluster: Cluster, *, kills: int, seed: int, pause: float) -> None:
        self.killed: Counter[str] = Counter()
        self._cluster = cluster
        self._kills = kills
        self._pause = pause
        self._random = random.Random(seed)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> ProcessKiller:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _run(self) -> None:
        names = [*self._cluster.members, "valkey"]
        while self.killed.total() < self._kills:
            time.sleep(self._random.uniform(0, 2 * self._pause))
            name = self._random.choice(names)
            if name == "valkey":
                self._cluster.servers.valkey.kill()
                self.killed[name] += 1
                time.sleep(self._random.uniform(0, self._pause))
                self._cluster.servers.valkey.start()
            elif self._cluster.members[name].kill():
                self.killed[name.rstrip("0123456789")] += 1
