"""The engines: what each declares, and how an address is shown."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from readings.engines import ENGINES, Capabilities, engine_of, without_password
from readings.repositories import open_store

ROOT = Path(__file__).parents[2]
EXAMPLES = {
    "delta": "delta:///srv/readings",
    "delta+s3": "delta+s3://our-bucket/readings?region=us-east-1",
    "clickhouse": "clickhouse://headend:secret@db.example/headend",
    "timestream": "timestream://devices/readings?region=us-east-1",
}
"""A URL of each engine."""


def test_every_engine_opens_a_store_that_creates_nothing() -> None:
    assert EXAMPLES.keys() == ENGINES.keys()
    for url in EXAMPLES.values():
        assert open_store(url).identity == open_store(url).identity
    assert len({open_store(url).identity for url in EXAMPLES.values()}) == len(EXAMPLES)


def test_a_capability_has_one_sentence_for_each_case() -> None:
    capabilities = engine_of(EXAMPLES["delta"]).capabilities
    sentences = capabilities.sentences()
    assert len(sentences) == len(fields(Capabilities))
    assert all(sentence.endswith(".") for _, sentence in sentences)
    assert capabilities.limits == ["Several hosts need a folder that all of them share."]


def test_the_limits_of_timestream_are_those_of_the_service() -> None:
    limits = " ".join(engine_of(EXAMPLES["timestream"]).capabilities.limits)
    assert "No old versions are kept" in limits
    assert "Each count is charged" in limits
    assert "Several hosts need" not in limits


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("ftp://host/x", "ftp:// is not a scheme of a readings repository"),
        ("delta", "this is not a URL, because it has no ://"),
        ("user:secret@host", "this is not a URL, because it has no ://"),
        ("", "this is not a URL, because it has no ://"),
    ],
)
def test_another_scheme_is_refused_without_repeating_the_url(url: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=f"{wrong}; use delta:///folder") as refused:
        engine_of(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("delta:///srv/a:b@c/readings", "delta:///srv/a:b@c/readings"),
        ("engine://user:secret@host:8443/database?secure=1", "engine://user:***@host:8443/database?secure=1"),
        ("engine://user:se@cr/et@host/database", "engine://user:***@host/database"),
        ("engine://user@host/database", "engine://user@host/database"),
        ("engine://bucket/prefix?endpoint_url=http%3A%2F%2Fx", "engine://bucket/prefix?endpoint_url=http%3A%2F%2Fx"),
        ("engine://b/p?endpoint_url=http%3A%2F%2Fu%3Asecret%40x&region=r", "engine://b/p?endpoint_url=http%3A%2F%2F***%40x&region=r"),
        ("engine://b/p?endpoint_url=http://u:secret@x", "engine://b/p?endpoint_url=http://***@x"),
        ("engine://user:secret@h/d?url=http%3a%2f%2fu:secret%40x", "engine://user:***@h/d?url=http%3a%2f%2f***%40x"),
    ],
)  # fmt: skip
def test_a_password_is_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


def capabilities_as_markdown() -> str:
    """Return the table of docs/engines.md, and what follows for engines that cannot do something."""
    titles = [engine.title for engine in ENGINES.values()]
    lines = [f"| | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    for each in fields(Capabilities):
        cells = [
            "yes" if getattr(engine.capabilities, each.name) else "**no**"
            for engine in ENGINES.values()
        ]
        lines.append(f"| {each.metadata['can']} | {' | '.join(cells)} |")
    lines += ["", "What follows from a *no*:", ""]
    return "\n".join([*lines, *(f"- {each.metadata['cannot']}" for each in fields(Capabilities))])


def test_the_documentation_shows_the_declared_capabilities() -> None:
    text = (ROOT / "docs" / "engines.md").read_text()
    shown = text.partition("<!-- capabilities: begin -->\n")[2].partition(
        "\n<!-- capabilities: end -->"
    )[0]
    assert shown == capabilities_as_markdown()
