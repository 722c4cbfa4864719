"""Trouble: everything but the database and the bucket dies at random, again and again."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

from tests.services.cluster import Cluster


class Killing:
    """Kills a member or the broker ``kills`` times, ``pause`` seconds apart on average."""

    def __init__(self, cluster: Cluster, *, kills: int, seed: int, pause: float) -> None:
        self.killed: Counter[str] = Counter()
        self._cluster = cluster
        self._kills = kills
        self._pause = pause
        self._draw = random.Random(seed)
        self._thread = threading.Thread(target=self._kill, daemon=True)

    def __enter__(self) -> Killing:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _kill(self) -> None:
        names = [*self._cluster.members, "valkey"]
        while self.killed.total() < self._kills:
            time.sleep(self._draw.uniform(0, 2 * self._pause))
            name = self._draw.choice(names)
            if name == "valkey":
                self._cluster.servers.valkey.kill()
                self.killed[name] += 1
                time.sleep(self._draw.uniform(0, self._pause))
                self._cluster.servers.valkey.start()
            elif self._cluster.members[name].kill():
                self.killed[name.rstrip("0123456789")] += 1
