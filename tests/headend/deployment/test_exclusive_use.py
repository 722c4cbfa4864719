"""Two commands that would disturb each other wait, or one is refused."""

from __future__ import annotations

import threading
from pathlib import Path

from headend.deployment.exclusive_use import one_setup_at_a_time


def test_a_second_setup_waits_until_the_first_has_ended(tmp_path: Path) -> None:
    steps = []

    def set_up_too() -> None:
        with one_setup_at_a_time(tmp_path):
            steps.append("second begins")

    second = threading.Thread(target=set_up_too)
    with one_setup_at_a_time(tmp_path):
        second.start()
        second.join(timeout=0.1)
        assert second.is_alive()
        steps.append("first ends")
    second.join(timeout=30)
    assert steps == ["first ends", "second begins"]
    assert [path.stat().st_mode & 0o077 for path in tmp_path.iterdir()] == [0]
