"""Every test here has an exports folder that no other test uses."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def separate_exports_folder(exports_folder: Path) -> None:
    """Use the fixture in every test of this folder."""
