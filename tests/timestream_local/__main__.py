"""``python -m tests.timestream_local --port 8100``."""

from __future__ import annotations

import argparse
import signal
from contextlib import suppress
from pathlib import Path
from types import FrameType
from urllib.parse import quote

from rich.console import Console

from tests.timestream_local.server import LocalTimestream
from tests.timestream_local.service import Service


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.timestream_local",
        description=(
            "A local Timestream for LiveAnalytics: the service's own protocol, for boto3 and whatever stands "
            "on it. UNLOAD and batch loads need --s3-endpoint; credentials are taken from where boto3 looks."
        ),
    )
    parser.add_argument("--port", type=int, default=8100, help="(%(default)s)")
    parser.add_argument("--folder", type=Path, help="keep the data here; in memory if not given")
    parser.add_argument("--s3-endpoint", help="an S3 server, such as http://127.0.0.1:8333")
    given = parser.parse_args()
    if given.folder:
        given.folder.mkdir(parents=True, exist_ok=True)
    server = LocalTimestream(given.port, Service(given.folder, given.s3_endpoint))
    endpoint = server.endpoint
    Console().print(
        f"Timestream at {endpoint}\n"
        f"READINGS_URL='timestream://devices/readings?region=us-east-1&endpoint_url={quote(endpoint, safe='')}'",
        soft_wrap=True,
        highlight=False,
    )
    signal.signal(signal.SIGTERM, _end)
    with suppress(KeyboardInterrupt), server:
        server.serve_forever()


def _end(number: int, at: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
