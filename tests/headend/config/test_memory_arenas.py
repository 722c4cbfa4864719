"""Tests of the limit of memory arenas."""

from __future__ import annotations

import subprocess
import sys

import pytest

from headend.config.memory_arenas import ARENAS

pytestmark = pytest.mark.starts_processes
THREADS = 6
COUNT_ARENAS = f"""
import ctypes, tempfile, threading
from headend.config.memory_arenas import limit_memory_arenas

if LIMITED:
    limit_memory_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
all_run = threading.Barrier({THREADS})

def allocate():
    libc.malloc(1000)
    all_run.wait()

threads = [threading.Thread(target=allocate) for _ in range({THREADS})]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
with tempfile.NamedTemporaryFile() as report:
    stream = ctypes.c_void_p(libc.fopen(report.name.encode(), b"w"))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    print(report.read().count(b"<heap nr="))
"""


def arenas(*, limited: bool) -> int:
    script = COUNT_ARENAS.replace("LIMITED", str(limited))
    answer = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    return int(answer.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's report is read")
def test_threads_share_a_few_arenas() -> None:
    assert arenas(limited=True) <= ARENAS < arenas(limited=False)
