"""``/health/ready`` checks real brokers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.deployment import ROOT
from tests.services.servers import Moto, Valkey

PRINT_READINESS = """
import json
from headend.monitoring import health
health.PROBE_TIMEOUT_SECONDS = 60  # on a busy machine the first connection of a process can take more than 3 s
print(json.dumps(health.readiness.results()))
"""


def broker_status(home: Path, url: str) -> str:
    """Return the broker's status in a process whose setting is ``url``."""
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", PRINT_READINESS],
        cwd=ROOT,
        env=os.environ | {"HEADEND_HOME": str(home), "CELERY_BROKER_URL": url},
        capture_output=True,
        text=True,
        check=True,
    )
    return str(json.loads(done.stdout)["broker"])


def test_a_reachable_redis_is_ok_and_an_unreachable_one_is_an_error(
    valkey: Valkey, tmp_path: Path
) -> None:
    assert broker_status(tmp_path, valkey.url) == "ok"
    unreachable = valkey.url.replace("redis://", "redis://:secret@").replace(
        "127.0.0.1", "127.0.0.2"
    )
    assert broker_status(tmp_path, unreachable) == "The message broker cannot be used."


def test_a_reachable_sqs_is_ok_and_an_unreachable_one_is_an_error(
    moto_server: Moto, tmp_path: Path
) -> None:
    assert broker_status(tmp_path, moto_server.url) == "ok"
    unreachable = "sqs://headend?region=us-east-1&endpoint_url=http://127.0.0.1:9"
    assert broker_status(tmp_path, unreachable) == "The message broker cannot be used."
