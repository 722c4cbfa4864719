"""Secrets are stored in AWS Secrets Manager, which moto simulates."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import boto3
import pytest

from headend.config.secrets import Secrets
from headend.config.service_urls import secrets_store
from tests.services.servers import Moto


@pytest.fixture
def url(moto_server: Moto, request: pytest.FixtureRequest) -> str:
    """A ``SECRETS_URL`` with a different prefix for each test."""
    endpoint = quote(moto_server.endpoint, safe="")
    name = request.node.name.replace("_", "-")
    return f"secretsmanager://{name}?region=us-east-1&endpoint_url={endpoint}"


@pytest.fixture
def store(url: str, tmp_path: Path) -> Secrets:
    """The store of this URL."""
    prefix, store = secrets_store(url, tmp_path)
    assert url.startswith(f"secretsmanager://{prefix}?")
    return store


def test_a_secret_is_created_only_once(store: Secrets) -> None:
    assert store.get("a/name") is None
    assert store.get_or_make("a/name", lambda: "first") == "first"
    assert store.get_or_make("a/name", lambda: "second") == "first"
    assert store.get("a/name") == "first"


def test_a_secret_is_replaced_or_created(store: Secrets) -> None:
    for value in ("first", "second"):
        store.put("a/name", value)
        assert store.get("a/name") == value


def secrets_of_concurrent_callers(store: Secrets) -> set[str]:
    """Return the secrets that eight threads get when all want to create it at the same time."""
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda n: store.get_or_make("key", lambda: str(n)), range(8)))
    return set(got)


def test_concurrent_callers_get_the_same_secret(store: Secrets) -> None:
    assert secrets_of_concurrent_callers(store) == {store.get("key")}


def test_concurrent_callers_get_the_same_first_value_of_an_empty_secret(
    store: Secrets, moto_server: Moto
) -> None:
    client = boto3.client(
        "secretsmanager", endpoint_url=moto_server.endpoint, region_name="us-east-1"
    )
    prefix = "test-concurrent-callers-get-the-same-first-value-of-an-empty-secret"
    client.create_secret(Name=f"{prefix}/key")
    assert secrets_of_concurrent_callers(store) == {store.get("key")}


def test_a_secret_has_the_name_in_the_reference_guide(store: Secrets, moto_server: Moto) -> None:
    name = "test-a-secret-has-the-name-in-the-reference-guide/sftp/private_key"
    store.get_or_make(name, lambda: "PEM")
    client = boto3.client(
        "secretsmanager", endpoint_url=moto_server.endpoint, region_name="us-east-1"
    )
    assert client.get_secret_value(SecretId=name)["SecretString"] == "PEM"


def test_a_secret_is_also_a_file_that_only_its_owner_can_read(
    store: Secrets, tmp_path: Path
) -> None:
    store.get_or_make("key", lambda: "PEM")
    path = store.path("key")
    assert path.read_text() == "PEM"
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(LookupError):
        store.path("another")
