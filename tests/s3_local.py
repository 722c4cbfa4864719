"""The command ``python -m tests.s3_local --port 8333``: a local S3 server, to try a deployment with a bucket."""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.local_server import add_port, print_settings, refuse_used_port, stop_at_sigterm
from tests.services.server_process import ServerError
from tests.services.servers import ACCESS_KEY, BUCKET, SECRET_KEY, SeaweedFS


def main() -> None:
    """Serve until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.s3_local",
        description=(
            f"Run a local S3 server (SeaweedFS) on 127.0.0.1. It has the bucket {BUCKET}, checks signatures and supports "
            "conditional writes. The settings that it prints store readings and export files in the bucket."
        ),
    )
    add_port(parser, 8333)
    parser.add_argument("--folder", type=Path, help="the folder for the data (default: temporary)")
    arguments = parser.parse_args()
    refuse_used_port(arguments.port)
    stop_at_sigterm()
    with ExitStack() as stack, suppress(KeyboardInterrupt):
        folder = arguments.folder or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="s3-local-"))
        )
        server = SeaweedFS(folder.absolute())
        server.port = arguments.port
        try:
            stack.enter_context(server)
        except (ServerError, OSError) as error:
            sys.exit(f"The S3 server cannot start: {str(error).strip()}")
        print_settings(
            f"S3 at {server.endpoint}, with the bucket {BUCKET}",
            f"export AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={SECRET_KEY}",
            f"export READINGS_URL='{server.readings_url('readings')}'",
            f"export EXPORTS_URL='{server.url}'",
        )
        assert server.process is not None
        server.process.wait()
        sys.exit(f"The S3 server has ended:\n{server.log_tail()}")


if __name__ == "__main__":
    main()
