"""Fixtures for the servers. Each server starts when the first test uses it, and stops after the last test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deployment import Deployment
from tests.services.aws_calls import AwsCalls
from tests.services.clickhouse import ClickHouseLocal
from tests.services.cluster import Servers
from tests.services.servers import AWS, Moto, Postgres, SeaweedFS, Valkey, postgres_folder
from tests.services.timestream import TimestreamLocal


@pytest.fixture(scope="session")
def aws_credentials(starts_processes: None) -> Iterator[None]:
    """Set the servers' credentials in the environment, where boto3 finds them."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in AWS.items():
            environment.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def postgres(starts_processes: None) -> Iterator[Postgres]:
    """A PostgreSQL server."""
    with postgres_folder() as folder, Postgres(folder) as server:
        yield server


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory, starts_processes: None) -> Iterator[Valkey]:
    """A broker that stores its messages."""
    with Valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="session")
def seaweedfs(
    tmp_path_factory: pytest.TempPathFactory, aws_credentials: None
) -> Iterator[SeaweedFS]:
    """An S3 server with a bucket."""
    with SeaweedFS(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory, aws_credentials: None) -> Iterator[Moto]:
    """SQS and Secrets Manager."""
    with Moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture
def aws_calls() -> Iterator[AwsCalls]:
    """The recorder of the calls to AWS's services."""
    calls = AwsCalls()
    yield calls
    calls.stop()


@pytest.fixture(scope="session")
def timestream(
    tmp_path_factory: pytest.TempPathFactory, seaweedfs: SeaweedFS
) -> Iterator[TimestreamLocal]:
    """The local Timestream, with access to the bucket."""
    with TimestreamLocal(tmp_path_factory.mktemp("timestream"), s3=seaweedfs) as server:
        yield server


@pytest.fixture(scope="session")
def clickhouse(
    tmp_path_factory: pytest.TempPathFactory, starts_processes: None
) -> Iterator[ClickHouseLocal]:
    """The local ClickHouse."""
    with ClickHouseLocal(tmp_path_factory.mktemp("clickhouse")) as server:
        yield server


@pytest.fixture(scope="session")
def running_deployment(
    tmp_path_factory: pytest.TempPathFactory, starts_processes: None
) -> Iterator[Deployment]:
    """A running deployment with 200 meters, on SQLite and folders, for tests that do not end it."""
    deployment = Deployment(
        tmp_path_factory.mktemp("running") / "home", {"SIMULATION_DEVICES": "200"}
    )
    yield deployment.start()
    deployment.stop()


@pytest.fixture(scope="session")
def servers(
    postgres: Postgres, seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    """The servers of a cluster. Its broker loses all messages when it is killed."""
    with Valkey(tmp_path_factory.mktemp("volatile-valkey"), persistent=False) as broker:
        yield Servers(postgres, seaweedfs, broker)
