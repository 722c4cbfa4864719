"""The engines that can store readings, and what each of them can do.

Code that depends on the engine reads its capabilities, never the scheme of ``READINGS_URL``. This module does not
import Polars, so processes that use no readings start fast.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from headend.config.program import PROGRAM

_CREDENTIALS_OF_OPTION = re.compile(r"((?::|%3A)(?:/|%2F){2})[^&]*(@|%40)", re.IGNORECASE)


def _sentences(*, can: str, cannot: str) -> Mapping[str, str]:
    return {"can": can, "cannot": cannot}


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What an engine can do. The metadata of each field has a sentence for engines that can, and one for the others."""

    keeps_versions: bool = field(
        metadata=_sentences(
            can="Old versions are kept: an export reads the version with which it started.",
            cannot="No old versions are kept: a snapshot is always the current state.",
        )
    )
    writes_atomically: bool = field(
        metadata=_sentences(
            can="A write stores all its readings or none.",
            cannot="A write is not atomic: readers may see a part of it, and an interrupted write must be repeated.",
        )
    )
    keeps_first_reading: bool = field(
        metadata=_sentences(
            can="If two processes write the same reading at once, the first one stays.",
            cannot="If two processes write the same reading at once, the one that arrived later stays.",
        )
    )
    keeps_replaced_versions: bool = field(
        metadata=_sentences(
            can="A correction keeps the version that it replaces: `as_of` and the history show it.",
            cannot="A correction deletes the version that it replaces: `as_of` and the history do not show it.",
        )
    )
    shows_writes_at_once: bool = field(
        metadata=_sentences(
            can="Every process sees a reading as soon as it is written.",
            cannot="Other processes see new readings with a delay.",
        )
    )
    counts_for_free: bool = field(
        metadata=_sentences(
            can="Counting is free: the portal's totals of the last hours are updated every 30 seconds.",
            cannot="Each count is charged: the portal's totals of the last hours are updated every minute.",
        )
    )
    deletes_whole_days: bool = field(
        metadata=_sentences(
            can="READINGS_RETENTION_DAYS deletes whole days, and nothing else deletes readings.",
            cannot="The service itself deletes readings by age; READINGS_RETENTION_DAYS can only shorten this.",
        )
    )
    accepts_any_time: bool = field(
        metadata=_sentences(
            can="Readings of any time are accepted.",
            cannot="Readings that are older than the retention, or too far in the future, are refused.",
        )
    )
    serves_many_hosts: bool = field(
        metadata=_sentences(
            can="Any number of hosts can write and read.",
            cannot="Several hosts need a folder that all of them share.",
        )
    )
    knows_its_size: bool = field(
        metadata=_sentences(
            can=f"`{PROGRAM} store status` shows the size on disk.",
            cannot="The size is not known.",
        )
    )

    def sentences(self) -> list[tuple[bool, str]]:
        """Return a pair for each capability: whether the engine has it, and the sentence that says so."""
        return [
            (has_it, each.metadata["can" if has_it else "cannot"])
            for each in fields(self)
            for has_it in [getattr(self, each.name)]
        ]

    @property
    def limits(self) -> list[str]:
        """The sentences about what the engine cannot do."""
        return [sentence for has_it, sentence in self.sentences() if not has_it]


@dataclass(frozen=True, kw_only=True)
class Engine:
    """One kind of repository.

    ``url_form`` is an example of its ``READINGS_URL``. ``is_folder`` says whether the URL names a folder of this host.
    The settings check such a folder.
    """

    title: str
    url_form: str
    capabilities: Capabilities
    is_folder: bool = False


ENGINES: dict[str, Engine] = {
    "delta": Engine(
        title="Delta Lake on disk",
        url_form="delta:///folder",
        is_folder=True,
        capabilities=Capabilities(
            keeps_versions=True,
            writes_atomically=True,
            keeps_first_reading=True,
            keeps_replaced_versions=True,
            shows_writes_at_once=True,
            counts_for_free=True,
            deletes_whole_days=True,
            accepts_any_time=True,
            serves_many_hosts=False,
            knows_its_size=True,
        ),
    ),
    "delta+s3": Engine(
        title="Delta Lake in a bucket",
        url_form="delta+s3://bucket/prefix?region=…",
        capabilities=Capabilities(
            keeps_versions=True,
            writes_atomically=True,
            keeps_first_reading=True,
            keeps_replaced_versions=True,
            # A page may show the state of up to a second ago.
            shows_writes_at_once=False,
            counts_for_free=True,
            deletes_whole_days=True,
            accepts_any_time=True,
            serves_many_hosts=True,
            knows_its_size=True,
        ),
    ),
    "clickhouse": Engine(
        title="ClickHouse",
        url_form="clickhouse://user:password@host:8443/database",
        capabilities=Capabilities(
            keeps_versions=False,
            writes_atomically=False,
            keeps_first_reading=True,
            keeps_replaced_versions=True,
            # A page may show the state of up to a second ago.
            shows_writes_at_once=False,
            counts_for_free=True,
            deletes_whole_days=True,
            accepts_any_time=True,
            serves_many_hosts=True,
            knows_its_size=True,
        ),
    ),
    "timestream": Engine(
        title="Amazon Timestream",
        url_form="timestream://database/table?region=…",
        capabilities=Capabilities(
            keeps_versions=False,
            writes_atomically=False,
            keeps_first_reading=False,
            keeps_replaced_versions=False,
            shows_writes_at_once=False,
            counts_for_free=False,
            deletes_whole_days=False,
            accepts_any_time=False,
            serves_many_hosts=True,
            knows_its_size=False,
        ),
    ),
}
"""Each engine by the scheme of its URLs."""


def engine_of(url: str) -> Engine:
    """Return the engine of a ``READINGS_URL``. Raises ``ValueError`` if no engine has its scheme."""
    scheme, separator, _ = url.partition("://")
    if scheme in ENGINES and separator:
        return ENGINES[scheme]
    forms = ", ".join(engine.url_form for engine in ENGINES.values())
    # The message does not repeat the URL, because it may contain a password.
    if not separator:
        raise ValueError(f"this is not a URL, because it has no ://; use {forms}.")
    raise ValueError(f"{scheme}:// is not a scheme of a readings repository; use {forms}.")


def without_password(url: str) -> str:
    """Return a URL for display. ``***`` replaces its password, and the passwords of URLs in its options.

    A password with an unencoded ``@`` or ``/`` is hidden too, although such a URL is not valid.
    """
    scheme, separator, rest = url.partition("://")
    credentials, at, host = rest.rpartition("@")
    user, colon, _ = credentials.partition(":")
    if at and colon and "/" not in user:
        rest = f"{user}:***@{host}"
    shown = _CREDENTIALS_OF_OPTION.sub(r"\1***\2", rest)
    return f"{scheme}{separator}{shown}"
