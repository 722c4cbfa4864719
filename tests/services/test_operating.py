"""The commands that docs/operating.md marks as tested, exactly as they are written there."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from tests.contract.conftest import Supplier
from tests.contract.test_files import fetch, poll_until_final
from tests.contract.test_recovery import supplier_of
from tests.deployment import ROOT, Deployment, share_set_up
from tests.services.cluster import Servers
from tests.services.servers import AWS, Postgres, SeaweedFS

pytestmark = pytest.mark.starts_processes

WINDOW = {"start_date": "2023-02-27 00:00:00", "end_date": "2023-02-27 01:00:00"}


def run_documented(name: str, deployment: Deployment, **variables: str) -> str:
    """Run the commands below ``<!-- tested: name -->`` with the settings of ``deployment``; return what they print."""
    page = (ROOT / "docs" / "operating.md").read_text()
    [commands] = re.findall(rf"<!-- tested: {name} -->\n *```sh\n(.+?)```", page, re.DOTALL)
    done = subprocess.run(
        ["bash", "-ec", commands.replace(".venv/bin/python", shlex.quote(sys.executable))],
        cwd=ROOT,
        env=deployment.environment | variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def kill(deployment: Deployment) -> None:
    """Kill all processes of the deployment at once."""
    while processes := deployment.processes():
        for pid in processes:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    assert deployment.process is not None
    deployment.process.wait()


def test_nothing_acknowledged_is_lost_if_a_running_deployment_is_backed_up_and_restored(
    tmp_path: Path,
) -> None:
    extra = {"SIMULATION_DEVICES": "200", "EXPORTS_LEASE_SECONDS": "5"}
    lost = Deployment(tmp_path / "lost", extra).start()
    lost.manage("backfill", "--start", WINDOW["start_date"], "--end", WINDOW["end_date"])
    supplier = supplier_of(lost)
    completed = poll_until_final(supplier, supplier.request_file(**WINDOW))[-1]
    host_keys = (lost.home / "known_hosts").read_text()
    # The next request is accepted, and no worker can complete it before the backup.
    os.kill(lost.started("worker")[-1], signal.SIGSTOP)
    waiting = supplier.request_file(**WINDOW)
    run_documented("back up", lost, BACKUP=str(tmp_path / "backup"))
    kill(lost)
    shutil.rmtree(lost.home)

    restored = Deployment(tmp_path / "restored", extra, lost.http_port, lost.sftp_port)
    assert "failed" not in run_documented("restore", restored, BACKUP=str(tmp_path / "backup"))
    restored.start()
    key = restored.home / "secrets" / supplier.private_key.relative_to(lost.home / "secrets")
    supplier = Supplier(
        supplier.url, supplier.key, supplier.sftp_host, supplier.sftp_port, supplier.user, key
    )
    file = fetch(supplier, completed["sftp_location"])
    assert hashlib.sha256(file).hexdigest() == completed["sha256"]
    again = poll_until_final(supplier, waiting)[-1]
    assert (again["status"], again["sha256"]) == ("completed", completed["sha256"])
    assert again["record_count"] == 13 * 200
    assert (restored.home / "known_hosts").read_text() == host_keys
    assert "behaves as the guide says" in restored.manage("tour").stdout
    restored.stop()


@pytest.fixture
def small(tmp_path: Path) -> Deployment:
    """A deployment on SQLite that is set up and does not run."""
    deployment = Deployment(tmp_path / "home", {"SIMULATION_DEVICES": "20"})
    deployment.set_up()
    return deployment


def rows_of(url: str) -> dict[str, int]:
    """Return the number of rows of some tables."""
    tables = ("exports_supplier", "exports_apikey", "exports_sshkey", "auth_user", "readings_meter")
    counts = {}
    with psycopg.connect(url) as connection:
        for table in tables:
            [(counts[table],)] = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
    return counts


def test_a_deployment_moves_to_postgresql_and_its_dump_is_restored(
    small: Deployment, postgres: Postgres, tmp_path: Path
) -> None:
    before = small.manage("outputs", "--json").stdout
    backup = tmp_path / "backup"
    backup.mkdir()
    first, second = (postgres.database(f"moved_{uuid4().hex}") for _ in range(2))
    moved = run_documented("move to PostgreSQL", small, BACKUP=str(backup), NEW_DATABASE_URL=first)
    assert "PostgreSQL" in moved
    small.extra["DATABASE_URL"] = first
    assert small.manage("outputs", "--json").stdout == before
    assert rows_of(first)["exports_apikey"] == 1
    small.extra["PATH"] = f"{postgres.programs}:{os.environ['PATH']}"
    run_documented("back up PostgreSQL", small, BACKUP=str(backup))
    small.extra["DATABASE_URL"] = second
    run_documented("restore PostgreSQL", small, BACKUP=str(backup))
    assert rows_of(second) == rows_of(first)


def test_readings_and_files_move_from_a_disk_to_a_bucket(
    small: Deployment, seaweedfs: SeaweedFS
) -> None:
    small.extra |= AWS
    name = f"moved_{uuid4().hex}"
    readings = seaweedfs.readings_url(f"{name}/readings")
    before = json.loads(small.manage("readings", "--json").stdout)
    printed = run_documented(
        "move to a bucket",
        small,
        NEW_READINGS_URL=readings,
        NEW_EXPORTS_URL=seaweedfs.url_by(seaweedfs.endpoint, f"{name}/files"),
    )
    assert "files copied: 0" in printed
    assert not re.search(r"^failed", printed, re.MULTILINE)
    small.extra["READINGS_URL"] = readings
    after = json.loads(small.manage("readings", "--json").stdout)
    assert before["days"]
    assert after["days"] == before["days"]


def test_a_host_that_is_added_serves_the_same_deployment(servers: Servers, tmp_path: Path) -> None:
    name, home = f"added_{uuid4().hex}", tmp_path / "home"
    shared = {
        **AWS,
        "SIMULATION": "off",
        "DATABASE_URL": servers.postgres.database(name),
        "CELERY_BROKER_URL": servers.valkey.url,
        "READINGS_URL": servers.seaweedfs.readings_url(name),
        "EXPORTS_URL": servers.seaweedfs.url_by(servers.seaweedfs.endpoint, name),
        "SECRETS_URL": f"file://{home}/secrets",
    }
    first, added = Deployment(home, shared), Deployment(tmp_path / "added", shared)
    first.set_up()
    refused = added.manage("process", "web", check=False)
    assert refused.stderr.endswith(
        "added does not exist. Run `python manage.py setup` on this host.\n"
    )
    share_set_up(added.home)
    printed = run_documented("add a host", added)
    assert not re.search(r"^(failed|warning)(?! +disk space)", printed, re.MULTILINE), printed
    assert added.outputs()["ApiKey"] == first.outputs()["ApiKey"]
    assert rows_of(shared["DATABASE_URL"])["exports_apikey"] == 1


def test_clients_can_know_new_host_keys_before_the_server_uses_them(small: Deployment) -> None:
    known_hosts = small.home / "known_hosts"
    before = known_hosts.read_text()
    printed = run_documented("announce the next host keys", small)
    both = known_hosts.read_text()
    assert both.startswith(before)
    assert printed.endswith(both)
    assert run_documented("use the next host keys", small).endswith(known_hosts.read_text())
    assert before + known_hosts.read_text() == both
