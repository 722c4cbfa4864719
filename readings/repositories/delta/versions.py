"""Find the valid version of each reading among main files and files with other versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from readings import frame
from readings.repositories.delta.data_files import RowSelection
from readings.repositories.delta.folder import Folder
from readings.window import Window

_LATER = ":later"


@dataclass(frozen=True)
class OtherVersions:
    """The rows that hold other versions of some readings than those in main files.

    ``as_of`` is None if all versions arrived up to the instant that the caller requests.
    """

    rows: RowSelection
    as_of: datetime | None

    def replace_in(self, main: pl.LazyFrame, folder: Folder, window: Window) -> pl.LazyFrame:
        """Return those readings of ``main`` whose valid version is in the window, in their order and in that version."""
        # The arrival times are compared first: the valid version may be in the window and another one not.
        of_readings = window.without_arrival_bounds().predicate()
        others = self.rows.scan(folder).select(main.collect_schema().names()).filter(of_readings)
        valid = with_other_versions(main.filter(of_readings), others, self.as_of)
        return valid.filter(window.predicate())


@dataclass(frozen=True)
class VersionRows:
    """The rows that hold the versions of some readings. ``others`` is None if only main files hold valid versions."""

    main: RowSelection
    others: OtherVersions | None

    def scan(self, folder: Folder, window: Window, columns: Sequence[str]) -> pl.LazyFrame:
        """Return the readings whose valid version is in the window, in no particular order.

        ``columns`` must include those of ``frame.VERSION``.
        """
        main = self.main.scan(folder).select(columns)
        if self.others is None:
            return main.filter(window.predicate())
        return self.others.replace_in(main, folder, window)


def with_other_versions(
    main: pl.LazyFrame, others: pl.LazyFrame, as_of: datetime | None
) -> pl.LazyFrame:
    """Return the readings of ``main``, in their order, each in its valid version.

    ``others`` may have several versions of each reading. Both have the same columns. A reading of which no version arrived
    up to ``as_of`` stays as it is.
    """
    if as_of is not None:
        others = others.filter(pl.col("arrival_time") <= frame.literal(as_of))
    columns = main.collect_schema().names()
    latest = others.sort(frame.VERSION).unique(frame.ORDER, keep="last", maintain_order=True)
    joined = main.join(latest, on=frame.ORDER, how="left", suffix=_LATER, maintain_order="left")
    arrival, other_arrival = pl.col("arrival_time"), pl.col(f"arrival_time{_LATER}")
    is_valid = other_arrival > arrival
    if as_of is not None:
        is_valid |= other_arrival.is_not_null() & (arrival > frame.literal(as_of))
    return joined.select(
        name
        if name in frame.ORDER
        else pl.when(is_valid).then(f"{name}{_LATER}").otherwise(name).alias(name)
        for name in columns
    )
