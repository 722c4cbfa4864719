"""Sizes are shown in units of 1,000, everywhere."""

from __future__ import annotations

import pytest

from exports.templatetags.file_size import file_size
from tests.test_architecture import ROOT, product_modules


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, "0 bytes"), (0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1.0 kB"), (999_949, "999.9 kB"),
        (999_950, "1.0 MB"), (11_711_194, "11.7 MB"), (999_999_999, "1.0 GB"), (2_500_000_000_000, "2.5 TB"),
        (1_234 * 10**12, "1,234.0 TB"),
    ],
)  # fmt: skip
def test_a_megabyte_has_a_million_bytes(size: int | None, text: str) -> None:
    assert file_size(size).replace("\xa0", " ") == text


def test_no_page_uses_the_filter_that_writes_mb_for_1048576_bytes() -> None:
    files = [*(ROOT / "templates").rglob("*.html"), *product_modules().values()]
    assert len(files) > 50
    assert [file for file in files if "filesizeformat" in file.read_text()] == []
