"""Record the home folder of an older version as an archive for the upgrade tests.

Run it with a checkout of the old version and its Python environment::

    git worktree add /tmp/old ead2ffd
    python tests/upgrade/record_home.py /tmp/old tests/upgrade/home-1.0.0.tar.gz

It runs the old deployment on loopback addresses, uses it like a supplier and an operator, stops it,
and leaves work unfinished. ``expected.json`` in the archive says what an upgrade has to preserve.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ADD_SUPPLIER = """
from django.contrib.auth.models import User
from exports import hand_over
from exports.models import Supplier, SupplierPerson, Webhook
acme = Supplier.objects.create(name="acme", most_running=2, most_queued=20)
key = hand_over.give_api_key(acme, "first key")
hand_over.give_key_pair(acme, "first key")
Webhook.objects.create(supplier=acme, url="http://127.0.0.1:%d/events")
anna = User.objects.create_user("anna", password="anna-reads-files")
SupplierPerson.objects.create(user=anna, supplier=acme)
User.objects.create_user("olaf", password="olaf-runs-things", is_staff=True)
print("KEY", key)
"""
LEAVE_WORK = """
import datetime
from exports import pipeline, transitions
from exports.models import ExportPart, FileRequest, Supplier
from exports.requests import Order, accept
from readings.repositories import repository
acme = Supplier.objects.get(name="acme")
first = FileRequest.objects.filter(supplier=acme).get()
running = accept(acme, Order(first.start, first.end, "parquet"))
lease = transitions.claim_for_planning(running.pk)
extract = pipeline.extract(running, repository(), attempt=str(lease.token))
assert transitions.submit(lease, snapshot=extract.name, parts=pipeline.plan(running, extract))
transitions.run(running.pk)
part = ExportPart.objects.get(request=running)
assert transitions.claim_part(part.pk)
# This time is in the past on every machine that runs the tests, so the lease has expired.
ExportPart.objects.filter(pk=part.pk).update(leased_until=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
accept(acme, Order(first.start, first.end, "jsonl"), idempotency_key="once")
"""
SUMMARY = """
import json
from django.contrib.auth.models import User
from exports.models import *
from readings.instants import format_instant
from readings.repositories import repository
from readings.window import Window
from datetime import datetime, UTC
page = repository().snapshot().page(Window(datetime(2020, 1, 1, tzinfo=UTC)), offset=0, size=50_000)
print("SUMMARY", json.dumps({
    "readings": len(page.readings),
    "kw": page.readings["kw"].sum(),
    "first_time": format_instant(page.readings["time"].min()),
    "last_time": format_instant(page.readings["time"].max()),
    "requests": {str(r.pk): [r.supplier.name, r.status, r.format, r.record_count, r.size, r.sha256, r.location]
                 for r in FileRequest.objects.all()},
    "parts": [[str(p.request_id), p.number, p.state, p.attempts, str(p.lease or ""), p.record_count]
              for p in ExportPart.objects.all()],
    "deliveries": [[str(d.request_id), d.kind, d.state, d.tries,
                    [[a.number, a.succeeded, a.outcome] for a in d.attempts.all()]]
                   for d in Delivery.objects.all()],
    "downloads": [[str(f.request_id), f.way, f.who, f.bytes_sent] for f in FileFetch.objects.all()],
    "sftp_sessions": SftpSession.objects.count(),
    "hand_overs": [h.fingerprint for h in KeyHandOver.objects.all()],
    "users": {u.username: [u.is_staff, u.is_superuser] for u in User.objects.all()},
    "supplier_users": {p.user.username: p.supplier.name for p in SupplierPerson.objects.all()},
    "api_keys": sorted(k.digest for k in ApiKey.objects.all()),
    "ssh_keys": sorted(k.fingerprint for k in SshKey.objects.all()),
}))
"""


class Receiver(BaseHTTPRequestHandler):
    """A webhook receiver that fails once and then accepts."""

    calls = 0

    def do_POST(self) -> None:
        """Answer 500 to the first call and 204 to the others."""
        type(self).calls += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(500 if self.calls == 1 else 204)
        self.end_headers()


class OldDeployment:
    """A deployment of the old version in ``home``."""

    def __init__(self, code: Path, home: Path, http_port: int, sftp_port: int) -> None:
        self.code = code
        self.url = f"http://127.0.0.1:{http_port}"
        self.environment = os.environ | {
            "HEADEND_HOME": str(home),
            "HEADEND_PORT": str(http_port),
            "SFTP_PORT": str(sftp_port),
            "SIMULATION_DEVICES": "20",
            "EXPORTS_RETENTION_DAYS": "0",
            "WEBHOOK_PRIVATE_ADDRESSES": "on",
        }

    def manage(self, *arguments: str) -> str:
        """Return what a management command prints."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.code,
            env=self.environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout

    def line(self, script: str, mark: str) -> str:
        """Run ``script`` in the old shell and return the line that starts with ``mark``."""
        printed = self.manage("shell", "--no-imports", "-c", script).splitlines()
        [line] = [line for line in printed if line.startswith(mark)]
        return line.removeprefix(mark).strip()

    def start(self) -> subprocess.Popen[bytes]:
        """Start the deployment and wait until it answers."""
        process = subprocess.Popen(
            [sys.executable, "manage.py", "run"], cwd=self.code, env=self.environment
        )
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.url}/health/ready", timeout=5).close()
            except OSError:
                time.sleep(0.2)
            else:
                return process
        raise TimeoutError("The old deployment does not start.")

    def call(self, path: str, key: str, body: dict[str, Any] | None = None) -> Any:
        """Return the JSON that the API answers."""
        request = urllib.request.Request(
            f"{self.url}{path}",
            data=json.dumps(body).encode() if body else None,
            headers={"Authorization": f"Token {key}"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)


def use(deployment: OldDeployment, key: str) -> None:
    """Request a file, download it by its link, and wait until its webhook is delivered."""
    start, end = _window(deployment, key)
    requested = deployment.call("/readings/file", key, {"start_date": start, "end_date": end})
    query = f"/readings/file?request_id={requested['request_id']}"
    while (status := deployment.call(query, key))["status"] != "completed":
        time.sleep(0.2)
    port = deployment.environment["HEADEND_PORT"]
    link = status["download_url"].replace(f"localhost:{port}", f"127.0.0.1:{port}")
    urllib.request.urlopen(link, timeout=30).read()
    while Receiver.calls < 2:
        time.sleep(0.2)
    # The deployment records the delivery after the receiver has answered.
    time.sleep(2)


def _window(deployment: OldDeployment, key: str) -> tuple[str, str]:
    page = deployment.call("/readings?start_date=2020-01-01&page_size=50000", key)
    times = sorted({record["time"] for record in page["records"]})
    return times[0], times[-2]


def record(code: Path, archive: Path) -> None:
    """Create the home folder with the old code, and write it to ``archive``."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        deployment = OldDeployment(code, home, 18431, 18432)
        receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        process = deployment.start()
        try:
            key = deployment.line(ADD_SUPPLIER % receiver.server_port, "KEY")
            use(deployment, key)
            deployment.manage("tour")
        finally:
            process.terminate()
            process.wait(60)
        deployment.manage("shell", "--no-imports", "-c", LEAVE_WORK)
        expected = json.loads(deployment.line(SUMMARY, "SUMMARY")) | {"acme_api_key": key}
        summary = Path(folder) / "expected.json"
        summary.write_text(json.dumps(expected, indent=1))
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(home, "home", filter=_without_static_files)
            tar.add(summary, summary.name)


def _without_static_files(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if member.name == "home/static" else member


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("code", type=Path, help="checkout of the old version")
    parser.add_argument("archive", type=Path, help="file to write")
    arguments = parser.parse_args()
    record(arguments.code.absolute(), arguments.archive.absolute())
