"""The program that ``manage.py run`` becomes.

It imports the standard library and honcho's parser only, so it needs about 22 MB of memory; Django with both apps needs
130 MB, which would stay in use as long as the deployment runs.
"""

from __future__ import annotations

import argparse
import importlib
import io
import sys
from pathlib import Path
from typing import Any


def _main() -> int:
    # The package `headend` imports Celery, so this package is imported without it. Other modules come first.
    sys.path.append(str(Path(__file__).resolve().parent.parent))
    supervision: Any = importlib.import_module("supervision.supervisor")
    parser = argparse.ArgumentParser(description=supervision.run.__doc__)
    parser.add_argument("procfile", type=Path)
    parser.add_argument("--announcement", type=int, required=True, help="descriptor of the text")
    parser.add_argument("--host", required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--sftp-port", type=int, required=True)
    options = parser.parse_args()
    # The encoding of the output may lack characters of the lines to print.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    with open(options.announcement, encoding="utf-8") as file:  # noqa: PTH123 (a descriptor, no path)
        text = file.read()
    announcement = supervision.Announcement(
        text, options.host, options.http_port, options.sftp_port
    )
    return int(supervision.run(options.procfile, announcement))


if __name__ == "__main__":
    sys.exit(_main())
