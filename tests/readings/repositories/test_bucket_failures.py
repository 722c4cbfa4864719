"""A bucket that cannot be used: one plain line that says why, without a key or a token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import boto3
import pytest
from deltalake.exceptions import DeltaError
from pytest_django.fixtures import Settings

from exports.models import Supplier
from readings.repositories import open_repository, open_store
from readings.repositories.delta.failures import reason
from readings.repository_errors import RepositoryUnavailableError
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from tests.readings.repositories.engines import A_MIDNIGHT, DeltaInBucket
from tests.services.bucket_with_one_answer import Answer, bucket_with_one_answer, error
from tests.suppliers import api_client

TOKEN, SECRET = "token-of-a-role", "secret-of-a-role"


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that boto3 finds, and calls that are not repeated."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    monkeypatch.setattr("readings.repositories.delta.bucket.RETRIES", 0)


def url_of(endpoint: str) -> str:
    return f"delta+s3://headend/readings?region=us-east-1&endpoint_url={quote(endpoint, safe='')}"


FAILURES = {
    "missing bucket": (error(404, "NoSuchBucket"), "the bucket does not exist"),
    "missing permission": (error(403, "AccessDenied"), "access is denied"),
    "unknown key": (error(403, "InvalidAccessKeyId"), "does not know the access key"),
    "wrong secret": (error(403, "SignatureDoesNotMatch"), "the secret key is wrong"),
    "expired": (error(400, "ExpiredToken"), "the credentials have expired"),
    "wrong region": (error(400, "AuthorizationHeaderMalformed"), "the region is wrong"),
    "other region": (error(301, "PermanentRedirect"), "the region is wrong"),
    "broken": (error(500, "InternalError"), "500 Internal Server Error (InternalError)"),
}


@pytest.mark.parametrize(("answer", "sentence"), FAILURES.values(), ids=FAILURES.keys())
@pytest.mark.parametrize("act", ["check", "snapshot", "write"])
def test_every_failure_is_one_line_without_secrets(
    keys: None, answer: Answer, sentence: str, act: str
) -> None:
    with bucket_with_one_answer(answer) as endpoint:
        repository = open_repository(url_of(endpoint))
        readings = readings_for(Fleet(devices=2), A_MIDNIGHT)
        with pytest.raises(RepositoryUnavailableError) as failed:
            repository.write(readings) if act == "write" else getattr(repository, act)()
    assert sentence in str(failed.value)
    assert is_plain(str(failed.value))


def is_plain(line: str) -> bool:
    secrets = (TOKEN, SECRET, "AKIAEXAMPLE", "\x1b", "\n", "<Error>")
    return not any(secret in line for secret in secrets)


def test_a_server_that_cannot_be_reached_is_one_line(keys: None) -> None:
    repository = open_repository(DeltaInBucket.unreachable_url)
    for act in (repository.check, repository.snapshot, repository.recent_snapshot):
        with pytest.raises(RepositoryUnavailableError) as failed:
            act()
        assert "the bucket's server cannot be reached" in str(failed.value)
        assert is_plain(str(failed.value))


def test_a_store_that_accepts_a_second_conditional_put_is_rejected(keys: None) -> None:
    with bucket_with_one_answer((200, "")) as endpoint:
        repository = open_repository(url_of(endpoint))
        with pytest.raises(RepositoryUnavailableError, match="ignores If-None-Match"):
            repository.check()


def test_credentials_that_boto3_does_not_find_are_one_line(
    keys: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boto3.Session, "get_credentials", lambda session: None)
    url = url_of("http://127.0.0.1:10")
    for act in (open_repository(url).snapshot, open_repository(url).check, open_store(url).exists):
        with pytest.raises(
            RepositoryUnavailableError, match="boto3 finds no credentials"
        ) as failed:
            act()
        assert is_plain(str(failed.value))
        assert str(failed.value).endswith(" a profile or a role.")


def test_a_profile_that_does_not_exist_is_one_line(
    keys: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "missing")
    with pytest.raises(RepositoryUnavailableError, match=r"profile \(missing\) could not be found"):
        open_repository(url_of("http://127.0.0.1:11")).snapshot()


def test_the_text_of_a_call_that_failed_is_reduced() -> None:
    coloured = "Generic S3 error\n  \x1b[31m↳\x1b[0m non-2xx status code\n  \x1b[31m↳\x1b[0m 418 I'm a teapot: key"
    assert reason(DeltaError(coloured)) == "the bucket's server answered 418 I"
    unknown = "Generic S3 error: Got invalid list response: end\nDebug source: key"
    assert reason(OSError(unknown)) == "Generic S3 error: Got invalid list response: end"
    assert reason(OSError(28, "No space left on device")) == "[Errno 28] No space left on device"


def test_a_page_of_an_unreachable_bucket_is_a_503_that_says_when_to_retry(
    keys: None, db: None, settings: Settings, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    settings.READINGS_URL = DeltaInBucket.unreachable_url
    client = api_client(Supplier.objects.create(name="alice"))
    answer = client.get("/readings", {"start_date": "2023-02-27"})
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
    [line] = [line for line in log_lines() if line["logger"] == "headend.http.exception_handler"]
    assert is_plain(line["error"])
    assert "exc_info" not in line
