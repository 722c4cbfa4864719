"""The local ClickHouse as a server for the tests."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from tests.services.server_process import Server

_ROOT = Path(__file__).parents[2]
USER, PASSWORD = "headend", "p@ss/w:rd%"
"""The password contains characters that must be encoded in a URL."""


class ClickHouseLocal(Server):
    """ClickHouse with its data in a folder."""

    @property
    def endpoint(self) -> str:
        """The address of the HTTP interface."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """``READINGS_URL`` of the database ``headend``, which exists."""
        return self.url_of("headend")

    def url_of(self, database: str) -> str:
        """Return the ``READINGS_URL`` of a database, which does not need to exist."""
        return f"clickhouse://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{database}?secure=off"

    def command(self) -> list[str]:
        """Return a command that imports the package from the project's root."""
        code = f"import sys; sys.path.insert(0, {str(_ROOT)!r}); from tests.clickhouse_local.__main__ import main; main()"
        return [
            sys.executable, "-c", code, "--port", str(self.port), "--folder", str(self.folder / "data"),
            "--user", USER, "--password", PASSWORD,
        ]  # fmt: skip

    def is_ready(self) -> bool:
        """Return whether it answers."""
        with urllib.request.urlopen(f"{self.endpoint}/ping", timeout=5) as response:
            return bool(response.status == 200)

    def run(self, statement: str) -> str:
        """Run a statement and return its result as text. Raises ``RuntimeError`` with the server's message."""
        headers = {"X-ClickHouse-User": USER, "X-ClickHouse-Key": PASSWORD}
        request = urllib.request.Request(self.endpoint + "/?", statement.encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return str(response.read().decode())
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from None

    @contextmanager
    def new_database(self) -> Iterator[str]:
        """Yield the ``READINGS_URL`` of an empty database. It is deleted when the context ends."""
        name = f"test_{uuid.uuid4().hex}"
        self.run(f"CREATE DATABASE {name} ENGINE = Atomic")
        yield self.url_of(name)
        self.run(f"DROP DATABASE {name}")

    def substitute(self, contains: str, statement: str, *, times: int = 1) -> None:
        """Run another statement instead of each of the next ``times`` statements that contain a text."""
        body = {"contains": contains, "statement": statement, "times": times}
        url = f"{self.endpoint}/_local/substitute"
        urllib.request.urlopen(url, json.dumps(body).encode(), timeout=5).close()
