"""The command ``python -m tests.timestream_local --port 8100``."""

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
    """Serve until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.timestream_local",
        description=(
            "Run a local Timestream for LiveAnalytics. It speaks the service's protocol, for boto3 and libraries that "
            "use boto3. UNLOAD and batch loads need --s3-endpoint. AWS credentials are found as boto3 finds them."
        ),
    )
    parser.add_argument(
        "--port", type=int, default=8100, help="the port on 127.0.0.1 (%(default)s)"
    )
    parser.add_argument("--folder", type=Path, help="the folder for the data (default: in memory)")
    parser.add_argument("--s3-endpoint", help="an S3 server, such as http://127.0.0.1:8333")
    arguments = parser.parse_args()
    if arguments.folder:
        arguments.folder.mkdir(parents=True, exist_ok=True)
    server = LocalTimestream(arguments.port, Service(arguments.folder, arguments.s3_endpoint))
    endpoint = server.endpoint
    Console().print(
        f"Timestream at {endpoint}\n"
        f"READINGS_URL='timestream://devices/readings?region=us-east-1&endpoint_url={quote(endpoint, safe='')}'",
        soft_wrap=True,
        highlight=False,
    )
    signal.signal(signal.SIGTERM, _stop)
    with suppress(KeyboardInterrupt), server:
        server.serve_forever()


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
