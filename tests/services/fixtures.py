"""The servers, each started once, on first use, and ended with the tests; any test may ask for one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.cluster import Servers
from tests.services.servers import AWS, Moto, Postgres, SeaweedFS, Valkey
from tests.services.timestream import TimestreamLocal


@pytest.fixture(scope="session")
def aws_credentials(starts_processes: None) -> Iterator[None]:
    """boto3 finds the servers' credentials where it looks for AWS's."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in AWS.items():
            environment.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def postgres(starts_processes: None) -> Iterator[Postgres]:
    """A database server."""
    # Not in pytest's own folder: for root's tests PostgreSQL runs as another user, and any session of
    # pytest that begins meanwhile shuts that folder to others; the next checkpoint would be a crash.
    with (
        tempfile.TemporaryDirectory(prefix="headend-postgres-") as folder,
        Postgres(Path(folder)) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory, starts_processes: None) -> Iterator[Valkey]:
    """A broker."""
    with Valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="session")
def seaweedfs(
    tmp_path_factory: pytest.TempPathFactory, aws_credentials: None
) -> Iterator[SeaweedFS]:
    """A bucket."""
    with SeaweedFS(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory, aws_credentials: None) -> Iterator[Moto]:
    """SQS and Secrets Manager."""
    with Moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def timestream(
    tmp_path_factory: pytest.TempPathFactory, seaweedfs: SeaweedFS
) -> Iterator[TimestreamLocal]:
    """The local Timestream, with the bucket in reach."""
    with TimestreamLocal(tmp_path_factory.mktemp("timestream"), s3=seaweedfs) as server:
        yield server


@pytest.fixture(scope="session")
def servers(
    postgres: Postgres, seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    """What a deployment on many hosts shares; its broker forgets everything when it is killed."""
    with Valkey(tmp_path_factory.mktemp("forgetful"), forgetful=True) as broker:
        yield Servers(postgres, seaweedfs, broker)
