"""The errors of every readings repository. Independent of Polars, so that a process without readings starts fast."""

from __future__ import annotations


class RepositoryUnavailableError(Exception):
    """The repository cannot be reached or read now. A later retry may succeed."""


class ReadingsRefusedError(Exception):
    """The repository refuses some readings, and a retry does not help.

    The message says which readings, why, and what an operator can do.
    """
