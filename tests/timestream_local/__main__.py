"""The command ``python -m tests.timestream_local --port 8100``."""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from tests.local_server import add_port, print_settings, refuse_used_port, stop_at_sigterm
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
    add_port(parser, 8100)
    parser.add_argument("--folder", type=Path, help="the folder for the data (default: in memory)")
    parser.add_argument("--s3-endpoint", help="an S3 server, such as http://127.0.0.1:8333")
    arguments = parser.parse_args()
    refuse_used_port(arguments.port)
    if arguments.folder:
        arguments.folder.mkdir(parents=True, exist_ok=True)
    server = LocalTimestream(arguments.port, Service(arguments.folder, arguments.s3_endpoint))
    endpoint = server.endpoint
    print_settings(
        f"Timestream at {endpoint}",
        f"export READINGS_URL='timestream://devices/readings?region=us-east-1&endpoint_url={quote(endpoint, safe='')}'",
    )
    stop_at_sigterm()
    with suppress(KeyboardInterrupt), server:
        server.serve_forever()


if __name__ == "__main__":
    main()
