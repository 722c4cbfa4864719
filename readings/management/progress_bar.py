"""The progress bar of the commands that write readings."""

from __future__ import annotations

from rich.console import Console
from rich.progress import Progress, ProgressColumn


def progress_bar(*columns: ProgressColumn) -> Progress:
    """Return a progress bar on stderr with the given columns. It disappears when it ends.

    If stderr is not a terminal, nothing is shown.
    """
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
