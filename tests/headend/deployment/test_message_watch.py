"""The embedded broker's watch: workers are woken by a message, and do not look for one all the time."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from headend.config import draining
from headend.deployment import message_watch
from headend.deployment.message_watch import MessageWatch

LONG = 30.0
SHORT = 0.01

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="inotify is a part of Linux")


def rename(folder: Path, name: str) -> None:
    """Make a file appear in the folder at once, as the broker does."""
    (folder / "unfinished").touch()
    (folder / "unfinished").rename(folder / name)


@only_linux
def test_a_message_ends_the_wait_also_if_it_arrived_before(tmp_path: Path) -> None:
    watch = MessageWatch(tmp_path, LONG)
    rename(tmp_path, "1.exports.msg")
    assert watch.wait(LONG)
    assert not watch.wait(SHORT)
    watch.close()


@only_linux
def test_a_message_that_another_worker_takes_wakes_no_worker(tmp_path: Path) -> None:
    watch = MessageWatch(tmp_path, LONG)
    rename(tmp_path, "1.exports.msg.taken")
    (tmp_path / "2.exports.msg.unfinished").touch()
    assert not watch.wait(SHORT)
    watch.close()


@only_linux
def test_a_drain_ends_the_current_wait_and_later_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_watch, "_CHECK_SECONDS", LONG)
    has_begun = iter([False, True])
    monkeypatch.setattr(draining, "has_begun", lambda: next(has_begun))
    watch = MessageWatch(tmp_path, LONG)
    # The drain begins while this waits.
    assert not watch.wait(LONG)
    assert list(has_begun) == []
    monkeypatch.setattr(draining, "has_begun", lambda: True)
    rename(tmp_path, "1.exports.msg")
    assert not watch.wait(LONG)
    watch.close()


@pytest.mark.parametrize("libc", [SimpleNamespace(), SimpleNamespace(inotify_init1=lambda _: -1)])
def test_without_inotify_a_wait_only_sleeps(
    libc: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: libc)
    watch = MessageWatch(tmp_path, SHORT)
    rename(tmp_path, "1.exports.msg")
    assert not watch.wait(LONG)
    watch.close()


def test_a_folder_that_cannot_be_watched_is_read_instead(tmp_path: Path) -> None:
    assert not MessageWatch(tmp_path / "missing", SHORT).wait(LONG)
