"""The command ``python -m tests.clickhouse_local --port 8123``."""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import quote

from tests.clickhouse_local.engine import Engine
from tests.clickhouse_local.server import LocalClickHouse
from tests.local_server import add_port, print_settings, refuse_used_port, stop_at_sigterm


def main() -> None:
    """Serve until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.clickhouse_local",
        description=(
            "Run a local ClickHouse. It serves ClickHouse's HTTP interface on 127.0.0.1, and the real engine (chDB, in "
            "this process) runs the queries."
        ),
    )
    add_port(parser, 8123)
    parser.add_argument("--folder", type=Path, help="the folder for the data (default: temporary)")
    parser.add_argument("--user", default="default", help="the user (%(default)s)")
    parser.add_argument("--password", default="", help="the user's password (default: none)")
    parser.add_argument(
        "--database", default="headend", help="a database that is created (%(default)s)"
    )
    arguments = parser.parse_args()
    refuse_used_port(arguments.port)
    stop_at_sigterm()
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
        user, password = (quote(text, safe="") for text in (arguments.user, arguments.password))
        credentials = f"{user}:{password}@" if password or user != "default" else ""
        print_settings(
            f"ClickHouse {engine.version} at http://127.0.0.1:{port}",
            f"export READINGS_URL='clickhouse://{credentials}127.0.0.1:{port}/{arguments.database}?secure=off'",
        )
        server.serve_forever()


if __name__ == "__main__":
    main()
