"""``python -m benchmarks.fleet`` draws the mixed fleet for docs/fleet.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

# matplotlib takes a second to import, and builds its list of fonts in a process of the system.
pytestmark = pytest.mark.starts_processes


def test_the_pictures_of_the_documentation_are_drawn_for_light_and_dark(tmp_path: Path) -> None:
    from benchmarks.curves import FOLDER, ON_DARK
    from benchmarks.fleet import draw

    files = draw(tmp_path, 200)

    assert {file.name for file in files} == {
        f"fleet-{name}.svg" for name in ("day", "week", "year", "meters")
    }
    for file in files:
        drawing = re.sub("<style>.*?</style>", "", file.read_text())
        assert set(re.findall("#[0-9a-f]{6}", drawing)) <= set(ON_DARK)
        assert (FOLDER / file.name).exists()
