"""The help texts of the commands about readings."""

from __future__ import annotations

import pytest
from django.core.management import call_command


@pytest.mark.parametrize(
    ("command", "example"),
    [
        (
            ["backfill"],
            "python manage.py backfill --start 2023-02-01 --end '2023-02-28 23:55'",
        ),
        (["load"], "python manage.py load may.csv.gz june.parquet --column active_power=kw"),
        (["readings"], "python manage.py readings --json | jq '.days[-1]'"),
        (["store"], "python manage.py store status"),
        (["store", "create"], "python manage.py store create delta:///srv/readings"),
        (
            ["store", "destroy"],
            "python manage.py store destroy delta:///srv/old-readings --yes",
        ),
        (
            ["store", "copy"],
            "python manage.py store copy delta:///srv/readings 'timestream://devices/readings?region=us-east-1'",
        ),
        (["timestream"], "python manage.py timestream create"),
        (
            ["timestream", "create"],
            "python manage.py timestream create --memory-hours 24 --magnetic-days 365",
        ),
    ],
)
def test_an_example_can_be_copied_because_it_is_on_a_separate_line(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    example: str,
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    with pytest.raises(SystemExit):
        call_command(*command, "--help")
    lines = capsys.readouterr().out.splitlines()
    assert f"  {example}" in lines
    assert all(len(line) <= 60 for line in lines if not line.startswith("  "))
