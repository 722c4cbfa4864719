"""What is wrong with the bucket of ``EXPORTS_URL``, in words that say what to do."""

from __future__ import annotations

import boto3
import pytest
from pytest_django.fixtures import Settings

from exports.stores import export_store
from headend.config import service_urls
from tests.services.bucket_with_one_answer import Answer, bucket_with_one_answer


def problem_of(settings: Settings, endpoint: str) -> str:
    url = f"s3://abc/exports?region=eu-west-1&endpoint_url={endpoint}"
    settings.STORAGES = {**settings.STORAGES, "exports": service_urls.exports_storage(url)}
    problem = export_store().problem()
    assert problem is not None
    assert "\n" not in problem
    return problem


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that boto3 finds."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ((404, ""), "the bucket does not exist; create it, or correct the URL"),
        ((403, ""), "access is denied; check the credentials"),
        ((400, ""), "the region is wrong; set region=…"),
        ((418, ""), "the bucket cannot be used: "),
    ],
)
def test_an_answer_of_the_server_is_a_problem_that_says_what_to_do(
    keys: None, settings: Settings, answer: Answer, problem: str
) -> None:
    with bucket_with_one_answer(answer) as endpoint:
        assert problem_of(settings, endpoint).startswith(problem)


def test_a_server_that_cannot_be_reached_is_a_problem(keys: None, settings: Settings) -> None:
    assert "check endpoint_url and the network" in problem_of(settings, "http://127.0.0.1:9")


def test_missing_credentials_are_a_problem(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boto3.Session, "get_credentials", lambda session: None)
    monkeypatch.setattr("botocore.session.Session.get_credentials", lambda session: None)
    assert "boto3 finds no credentials" in problem_of(settings, "http://127.0.0.1:9")
