"""``manage.py doctor`` with real servers, and its exit code."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import uuid4

from tests.deployment import Deployment
from tests.services.servers import AWS, Postgres, SeaweedFS, Valkey

NAMES = {
    "versions", "settings", "home folder", "database", "migrations", "clock", "broker", "readings", "exports", "secrets", "ports",
    "disk space",
}  # fmt: skip


def lines_of(deployment: Deployment, *, exit_code: int) -> dict[str, str]:
    """Run the command, and return its lines by the name of the check; the last one if there are several."""
    ended = deployment.manage("doctor", check=False)
    assert ended.returncode == exit_code, ended.stdout + ended.stderr
    assert ended.stderr == ""
    found = {}
    for line in ended.stdout.splitlines():
        match = re.fullmatch(r"(?:ok|warning|failed) +(\w+(?: space| folder)?) +.+", line)
        assert match, line
        found[match.group(1)] = line
    assert set(found) == NAMES
    return found


def test_a_running_deployment_has_no_problem(running_deployment: Deployment) -> None:
    found = lines_of(running_deployment, exit_code=0)
    assert f"headend answers at 127.0.0.1:{running_deployment.sftp_port}" in found["ports"]
    assert "newest interval" in found["readings"]


def test_real_servers_have_no_problem_and_each_wrong_address_is_named(
    postgres: Postgres, valkey: Valkey, seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    name = f"doctor_{uuid4().hex}"
    right = {
        **AWS,
        "SIMULATION_DEVICES": "20",
        "DATABASE_URL": postgres.database(name),
        "CELERY_BROKER_URL": valkey.url,
        "EXPORTS_URL": seaweedfs.url,
        "READINGS_URL": seaweedfs.readings_url(name),
    }
    deployment = Deployment(tmp_path / "home", right)
    deployment.manage("setup")
    found = lines_of(deployment, exit_code=0)
    assert all(line.startswith(("ok", "warning  disk")) for line in found.values()), found
    assert "PostgreSQL" in found["database"]
    assert "between the clocks" in found["clock"]
    assert seaweedfs.client().list_objects_v2(Bucket="headend", Prefix="data/")["KeyCount"] == 0

    deployment.extra = right | {
        "DATABASE_URL": right["DATABASE_URL"].replace("postgres@", "nobody:hunter2-secret@"),
        "CELERY_BROKER_URL": valkey.url.replace("//", "//nobody:hunter2-secret@"),
        "EXPORTS_URL": seaweedfs.url.replace("//headend/", "//missing/"),
        "READINGS_URL": seaweedfs.readings_url(name).replace("//headend/", "//missing/"),
    }
    found = lines_of(deployment, exit_code=1)
    assert found["database"].endswith("Correct the user and the password in DATABASE_URL.")
    assert found["exports"].startswith("failed   exports     the bucket does not exist")
    assert "the bucket does not exist" in found["readings"]
    assert found["broker"].endswith("Correct the user and the password in CELERY_BROKER_URL.")
    assert "hunter2" not in "".join(found.values())

    deployment.extra = right | {
        "DATABASE_URL": "postgresql://headend:hunter2-secret@127.0.0.1:9/headend",
        "CELERY_BROKER_URL": "redis://:hunter2-secret@127.0.0.1:9/0",
        "EXPORTS_URL": seaweedfs.url_by("http://127.0.0.1:9"),
        "READINGS_URL": seaweedfs.readings_url(name, "http://127.0.0.1:9"),
    }
    found = lines_of(deployment, exit_code=1)
    for part in ("database", "migrations", "clock", "broker", "exports", "readings"):
        assert found[part].startswith("failed"), found[part]
    assert "Correct CELERY_BROKER_URL, and check that the broker runs" in found["broker"]
    assert found["secrets"].startswith("ok")
    assert "hunter2" not in "".join(found.values())
