"""The URLs of services become settings, or are refused with one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from headend.config.aws_secrets import SecretsManager
from headend.config.secrets import FileSecrets
from headend.config.service_urls import exports_storage


@pytest.mark.parametrize(
    ("query", "checksums"),
    [("", "when_supported"), ("?checksums=when_required", "when_required")],
)
def test_a_url_of_a_bucket_says_when_checksums_are_sent(query: str, checksums: str) -> None:
    config = exports_storage(f"s3://bucket/prefix{query}")["OPTIONS"]["client_config"]
    assert config.request_checksum_calculation == checksums
    assert config.response_checksum_validation == checksums


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("checksums=never", "checksums=never is unknown; write when_supported or when_required"),
        ("checksum=when_required", "the option checksum is unknown; the options are checksums,"),
    ],
)
def test_a_url_of_a_bucket_with_an_unknown_option_is_refused(query: str, reason: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"EXPORTS_URL: {reason}"):
        exports_storage(f"s3://bucket/prefix?{query}")


def test_a_call_to_secrets_manager_that_gets_no_answer_ends_within_a_minute(tmp_path: Path) -> None:
    store = SecretsManager(
        "headend", FileSecrets(tmp_path), region="us-east-1", endpoint_url="http://127.0.0.1:9"
    )
    config = store._client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (5, 10)
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}
