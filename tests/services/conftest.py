"""The servers, each started once, on first use, and ended with the tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.cluster import Servers
from tests.services.servers import AWS, Moto, Postgres, SeaweedFS, Valkey


@pytest.fixture(scope="session")
def aws_credentials() -> Iterator[None]:
    """boto3 finds the servers' credentials where it looks for AWS's."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in AWS.items():
            environment.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A database server."""
    with Postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
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
def servers(
    postgres: Postgres, seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    """What a deployment on many hosts shares; its broker forgets everything when it is killed."""
    with Valkey(tmp_path_factory.mktemp("forgetful"), forgetful=True) as broker:
        yield Servers(postgres, seaweedfs, broker)
