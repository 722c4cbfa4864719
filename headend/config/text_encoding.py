"""The encoding of paths and of printed text. Imports the standard library only.

Polars and Delta read every path as UTF-8. Python reads paths in the encoding of the locale. With
``LC_ALL=de_DE.ISO-8859-1``, the libraries and Python would use different files.
"""

from __future__ import annotations

import io
import os
import sys


def print_every_character() -> None:
    """Print a character that the encoding of standard output does not have as an escape, such as ``\\u2713``.

    Otherwise ``PYTHONIOENCODING=ascii`` ends a command with a traceback.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def restart_in_utf8_mode() -> None:
    """Restart this program in Python's UTF-8 mode if the locale has another encoding; then do not return.

    The process id stays. Standard output keeps its encoding. Processes that this one starts inherit the mode.
    """
    if sys.getfilesystemencoding() == "utf-8" or "utf8" in sys._xoptions:
        return
    os.environ["PYTHONUTF8"] = "1"
    os.environ.setdefault("PYTHONIOENCODING", f"{sys.stdout.encoding}:backslashreplace")
    os.execv(  # noqa: S606 (without a shell, no argument is interpreted)
        sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
    )
