"""What a task does if a service or a disk that it needs cannot be used."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from headend.config.database_errors import first_line
from readings.outages import is_outage

P = ParamSpec("P")


def in_one_line(task: Callable[P, None]) -> Callable[P, None]:
    """Log one line if the database, the repository or a disk cannot be used. Beat starts the task again.

    Celery logs any other error with its traceback.
    """

    @wraps(task)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            task(*args, **kwargs)
        except Exception as error:
            if not is_outage(error):
                raise
            logging.getLogger(task.__module__).error(
                "a task ends early; it runs again at its next time",
                extra={"task": task.__name__, "error": first_line(error)},
            )

    return run
