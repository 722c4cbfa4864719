"""The command ``python -m tests.clickhouse_local --port 8123``."""

from __future__ import annotations

import argparse
import signal
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType

from rich.console import Console

from tests.clickhouse_local.engine import Engine
from tests.clickhouse_local.server import LocalClickHouse


def main() -> None:
    """Serve until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.clickhouse_local",
        description=(
            "Run a local ClickHouse. It serves ClickHouse's HTTP interface on 127.0.0.1, and the real engine (chDB, in "
            "this process) runs the queries."
        ),
    )
    parser.add_argument(
        "--port", type=int, default=8123, help="the port on 127.0.0.1 (%(default)s)"
    )
    parser.add_argument("--folder", type=Path, help="the folder for the data (default: temporary)")
    parser.add_argument("--user", default="default", help="the user (%(default)s)")
    parser.add_argument("--password", default="", help="the user's password (default: none)")
    parser.add_argument(
        "--database", default="headend", help="a database that is created (%(default)s)"
    )
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    with ExitStack() as stack, suppress(KeyboardInterrupt):
        folder = arguments.folder or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="clickhouse-local-"))
        )
        engine = Engine(folder)
        engine.create_database(arguments.database)
        server = stack.enter_context(
            LocalClickHouse(
                arguments.port, engine, user=arguments.user, password=arguments.password
            )
        )
        port = server.server_address[1]
        Console().print(
            f"ClickHouse {engine.version} at http://127.0.0.1:{port}\n"
            f"READINGS_URL='clickhouse://127.0.0.1:{port}/{arguments.database}?secure=off'",
            soft_wrap=True,
            highlight=False,
        )
        server.serve_forever()


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
