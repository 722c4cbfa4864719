"""``python -m benchmarks.curves`` draws the stored points, and the diagrams in the documentation show them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.growth import GROWTH_FILE, QUANTITIES

# The first import of matplotlib on a machine lists the fonts with a program.
pytestmark = pytest.mark.starts_processes


def texts(file: Path) -> list[str]:
    """Return the texts of a drawing."""
    return [
        "".join(node.itertext())
        for node in ElementTree.parse(file).iter("{http://www.w3.org/2000/svg}text")  # noqa: S314 (our own)
    ]


def test_each_diagram_shows_the_stored_points_and_when_they_were_measured(tmp_path: Path) -> None:
    from benchmarks.curves import FOLDER, draw

    stored = json.loads(GROWTH_FILE.read_text())
    assert set(stored) == set(QUANTITIES)
    files = draw(GROWTH_FILE, tmp_path)
    assert {file.name for file in files} == {f"growth-{name}.svg" for name in QUANTITIES}
    for name, measured in stored.items():
        file = tmp_path / f"growth-{name}.svg"
        shown = texts(file)
        assert any(text.startswith(f"{measured['date']}, ") for text in shown)
        for curve in measured["curves"]:
            assert curve["what"].replace("`", "") in shown
        # `python -m benchmarks.curves` was run after the last measurement.
        assert texts(FOLDER / file.name) == shown


def test_each_colour_has_one_for_a_dark_background(tmp_path: Path) -> None:
    from benchmarks.curves import ON_DARK, draw

    for file in draw(GROWTH_FILE, tmp_path):
        drawing = re.sub("<style>.*?</style>", "", file.read_text())
        assert set(re.findall("#[0-9a-f]{6}", drawing)) <= set(ON_DARK)
        assert "@media (prefers-color-scheme: dark)" in file.read_text()
