"""The deployment that the contract tests call: one that the options name, or one that is started here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import paramiko
import pytest
import requests

from tests.deployment import Deployment

HTTP_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Supplier:
    """What a supplier knows about a deployment: addresses and its own credentials."""

    url: str
    key: str
    sftp_host: str
    sftp_port: int
    user: str
    private_key: Path

    def call(self, method: str, path: str, **request: Any) -> requests.Response:
        """Call the API with this supplier's key."""
        headers = {"Authorization": f"Token {self.key}", **request.pop("headers", {})}
        return requests.request(
            method, self.url + path, headers=headers, timeout=HTTP_TIMEOUT_SECONDS, **request
        )

    def get(self, path: str, **parameters: Any) -> Any:
        """Return the JSON of a GET call. Fails if the status is not 200."""
        answer = self.call("GET", path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def request_file(self, **body: str) -> str:
        """Create a file request and return its id."""
        answer = self.call("POST", "/readings/file", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["request_id"])

    def transport(self) -> paramiko.Transport:
        """Return an authenticated SSH connection."""
        transport = paramiko.Transport((self.sftp_host, self.sftp_port))
        transport.connect(
            username=self.user, pkey=paramiko.RSAKey.from_private_key_file(str(self.private_key))
        )
        return transport


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that name a running deployment."""
    group = parser.getgroup("headend", "the deployment that tests/contract calls")
    group.addoption("--headend-url", help="apiGatewayInvokeURL of a running deployment")
    group.addoption("--headend-key", help="API key of a supplier")
    group.addoption("--headend-sftp", help="HOST:PORT of its SFTP server")
    group.addoption("--headend-user", default="sftp-user", help="the supplier's name")
    group.addoption("--headend-private-key", help="file with the supplier's private key")
    group.addoption("--headend-other-key", help="API key of another supplier")


@pytest.fixture(scope="package")
def deployment(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    starts_processes: None,
    *,
    on_servers: bool,
) -> Iterator[Deployment | None]:
    """The deployment that is started here, or None if --headend-url names one. It ends before other tests begin."""
    if request.config.getoption("--headend-url"):
        yield None
        return
    folder = tmp_path_factory.mktemp("contract")
    with ExitStack() as servers:
        extra = {"WEB_WORKERS": "2"} | (_on_servers(folder, servers) if on_servers else {})
        started = Deployment(folder / "home", extra)
        if on_servers:
            # The local server takes ten seconds of processor time for each interval of the live fleet.
            started.extra["SIMULATION"] = "off"
            started.manage_each(
                ("timestream", "create", "--magnetic-days", "73000"),
                ("backfill", "--start", f"{datetime.now(UTC) - timedelta(minutes=40):%F %T}"),
            )
        started.start()
        yield started
        started.stop()


def _on_servers(folder: Path, running: ExitStack) -> dict[str, str]:
    from tests.services.servers import AWS, Moto, Postgres, SeaweedFS, Valkey, postgres_folder
    from tests.services.timestream import TimestreamLocal

    moto = running.enter_context(Moto(folder / "moto"))
    postgres = running.enter_context(Postgres(running.enter_context(postgres_folder())))
    bucket = running.enter_context(SeaweedFS(folder / "seaweedfs"))
    timestream = running.enter_context(TimestreamLocal(folder / "timestream", s3=bucket))
    return {
        **AWS,
        "DATABASE_URL": postgres.database("contract"),
        "READINGS_URL": timestream.url,
        "EXPORTS_URL": bucket.url,
        "SECRETS_URL": f"secretsmanager://contract?endpoint_url={quote(moto.endpoint, safe='')}",
        "CELERY_BROKER_URL": running.enter_context(Valkey(folder / "valkey")).url,
    }


@pytest.fixture(scope="package")
def supplier(request: pytest.FixtureRequest, deployment: Deployment | None) -> Supplier:
    """The default supplier."""
    if deployment is not None:
        out = deployment.outputs()
        return Supplier(
            url=out["apiGatewayInvokeURL"],
            key=out["ApiKey"],
            sftp_host=out["SftpServerAddress"],
            sftp_port=out["SftpPort"],
            user=out["SftpUserName"],
            private_key=Path(out["PrivateKeyFile"]),
        )
    option = request.config.getoption
    host, _, port = option("--headend-sftp").rpartition(":")
    return Supplier(
        url=option("--headend-url").rstrip("/"),
        key=option("--headend-key"),
        sftp_host=host,
        sftp_port=int(port),
        user=option("--headend-user"),
        private_key=Path(option("--headend-private-key")),
    )


_CREATE_OTHER_SUPPLIER = """
from exports.credentials import *; from exports.models import *
import json
key = new_api_key()
supplier, _ = Supplier.objects.get_or_create(name="other")
ApiKey.objects.create(supplier=supplier, prefix=key[:PREFIX_LENGTH], digest=digest(key))
print(json.dumps(key))
"""


@pytest.fixture(scope="package")
def other_key(request: pytest.FixtureRequest, deployment: Deployment | None) -> str:
    """An API key of another supplier."""
    if deployment is not None:
        created = deployment.manage(
            "shell", "--verbosity", "0", "--command", _CREATE_OTHER_SUPPLIER
        )
        return str(json.loads(created.stdout))
    key = request.config.getoption("--headend-other-key")
    if not key:
        pytest.fail("--headend-other-key: these tests need the API key of another supplier.")
    return str(key)


@pytest.fixture(scope="package")
def newest(supplier: Supplier) -> list[str]:
    """The times of two complete intervals in the last hour, in canonical form. Their readings do not change."""
    since = datetime.now(UTC) - timedelta(minutes=55)
    first = supplier.get("/readings", start_date=f"{since:%Y-%m-%d %H:%M:%S}", page_size=1)
    time = datetime.strptime(first["records"][0]["time"], "%Y-%m-%d %H:%M:%S.%f")
    return [f"{time + n * timedelta(minutes=5):%Y-%m-%d %H:%M:%S.%f}" for n in range(2)]
