"""/health/ready in front of real brokers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.deployment import ROOT
from tests.services.servers import Moto, Valkey

LOOK = "import json; from headend.monitoring.health import readiness; print(json.dumps(readiness.look()))"


def broker_as_seen_by(home: Path, url: str) -> str:
    """What a process with this broker says of it."""
    said = subprocess.run(
        [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", LOOK],
        cwd=ROOT,
        env=os.environ | {"HEADEND_HOME": str(home), "CELERY_BROKER_URL": url},
        capture_output=True,
        text=True,
        check=True,
    )
    return str(json.loads(said.stdout)["broker"])


def test_a_redis_that_is_there_is_ok_and_one_that_is_gone_is_not(
    valkey: Valkey, tmp_path: Path
) -> None:
    assert broker_as_seen_by(tmp_path, valkey.url) == "ok"
    nowhere = valkey.url.replace("redis://", "redis://:secret@").replace("127.0.0.1", "127.0.0.2")
    assert broker_as_seen_by(tmp_path, nowhere) == "The message broker cannot be used."


def test_sqs_is_asked_too(moto_server: Moto, tmp_path: Path) -> None:
    assert broker_as_seen_by(tmp_path, moto_server.url) == "ok"
    nowhere = "sqs://headend?region=us-east-1&endpoint_url=http://127.0.0.1:9"
    assert broker_as_seen_by(tmp_path, nowhere) == "The message broker cannot be used."
