"""What the commands of the local servers have in common: ``python -m tests.s3_local``, ``tests.clickhouse_local`` …"""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from types import FrameType

from rich.console import Console

_MAX_PORT = 65_535


def add_port(parser: argparse.ArgumentParser, default: int) -> None:
    """Add the option ``--port``."""
    parser.add_argument(
        "--port", type=_port, default=default, help="the port on 127.0.0.1 (%(default)s)"
    )


def refuse_used_port(port: int) -> None:
    """End this program with one line if it cannot listen on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            sys.exit(f"--port {port}: {error.strerror}. Choose another port.")


def stop_at_sigterm() -> None:
    """Raise ``KeyboardInterrupt`` at SIGTERM, as at Ctrl-C."""
    signal.signal(signal.SIGTERM, _stop)


def print_settings(*lines: str) -> None:
    """Print lines that can be copied: none is wrapped or coloured."""
    Console().print("\n".join(lines), soft_wrap=True, highlight=False, markup=False)


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {_MAX_PORT}")
    return int(text)


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
