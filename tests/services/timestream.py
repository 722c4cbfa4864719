"""The local Timestream as a server for the tests."""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.services.server_process import Server
from tests.services.servers import AWS, SeaweedFS

_ROOT = Path(__file__).parents[2]


class TimestreamLocal(Server):
    """Timestream with access to a bucket. All data is in memory and lost after a restart."""

    def __init__(self, folder: Path, *, s3: SeaweedFS) -> None:
        super().__init__(folder)
        self._s3 = s3

    @property
    def endpoint(self) -> str:
        """The address of its write and query APIs."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """``READINGS_URL`` of the table ``devices.readings``, with the bucket."""
        return self.url_of("devices", "readings")

    def url_of(
        self, database: str, table: str, *, bucket: str | None = "headend/timestream"
    ) -> str:
        """Return the ``READINGS_URL`` of a table, which does not need to exist."""
        url = f"timestream://{database}/{table}?region=us-east-1&endpoint_url={_escaped(self.endpoint)}"
        if bucket is None:
            return url
        return f"{url}&bucket={bucket}&s3_endpoint_url={_escaped(self._s3.endpoint)}"

    def command(self) -> list[str]:
        """Return a command that imports the package from the project's root."""
        code = f"import sys; sys.path.insert(0, {str(_ROOT)!r}); from tests.timestream_local.__main__ import main; main()"
        return [
            sys.executable, "-c", code, "--port", str(self.port), "--s3-endpoint", self._s3.endpoint,
        ]  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        """The credentials of the bucket."""
        return AWS

    def is_ready(self) -> bool:
        """Return whether it answers."""
        with urllib.request.urlopen(self.endpoint, timeout=5) as response:
            return bool(response.status == 200)

    def fail(self, operation: str, code: str, *, times: int) -> None:
        """Let the next ``times`` calls of ``operation`` fail with the error ``code``."""
        body = json.dumps({"operation": operation, "code": code, "times": times}).encode()
        urllib.request.urlopen(f"{self.endpoint}/_local/failures", body, timeout=5).close()

    def queries(self) -> list[dict[str, Any]]:
        """Return the queries since the last call: ``text``, ``rows``, ``bytes_scanned``, ``bytes_metered``."""
        return list(self._recorded()["queries"])

    def cancelled(self) -> list[str]:
        """Return the texts of the queries that were cancelled since the last call."""
        return list(self._recorded()["cancelled"])

    def _recorded(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.endpoint}/_local/queries", timeout=5) as response:
            return dict(json.load(response))


def _escaped(url: str) -> str:
    return quote(url, safe="")
