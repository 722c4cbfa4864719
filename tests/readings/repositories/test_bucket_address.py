"""``READINGS_URL=delta+s3://…``: valid and wrong URLs."""

from __future__ import annotations

import re

import pytest

from readings.repositories.delta.address import BucketAddress


def test_an_address_has_a_bucket_a_prefix_and_options() -> None:
    url = "delta+s3://our-bucket/readings/v1/?region=eu-west-1&endpoint_url=http%3A%2F%2F127.0.0.1%3A9000%2F"
    expected = BucketAddress("our-bucket", "readings/v1", "eu-west-1", "http://127.0.0.1:9000")
    assert BucketAddress.of(url) == expected
    assert BucketAddress.of("delta+s3://our-bucket/readings") == BucketAddress(
        "our-bucket", "readings"
    )


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("delta+s3:///readings", "'' is not a valid name of a bucket; use delta+s3://bucket/prefix."),
        ("delta+s3://Our_Bucket/x", "'Our_Bucket' is not a valid name of a bucket"),
        ("delta+s3://our-bucket", "'' is not a valid prefix; use delta+s3://bucket/prefix"),
        ("delta+s3://our-bucket/a/../b", "'a/../b' is not a valid prefix"),
        ("delta+s3://our-bucket/a%20b", "'a%20b' is not a valid prefix"),
        ("delta+s3://our-bucket/a#b", "a prefix cannot contain the character #."),
        ("delta+s3://our-bucket/x?reigon=x", "the option reigon is unknown; the options are region, endpoint_url."),
        ("delta+s3://our-bucket/x?region=", "region= is not a region"),
        ("delta+s3://our-bucket/x?region=eu%20west", "region=eu west is not a region"),
        ("delta+s3://our-bucket/x?endpoint_url=minio:9000", "endpoint_url must be the address of a server"),
        ("delta+s3://our-bucket/x?endpoint_url=http%3A%2F%2F", "endpoint_url must be the address of a server"),
        ("delta+s3://our-bucket/x?endpoint_url=http%3A%2F%2Fh%3A99999", "endpoint_url must be the address"),
    ],
)  # fmt: skip
def test_a_wrong_url_is_refused_with_a_sentence(url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        BucketAddress.of(url)


@pytest.mark.parametrize(
    "url",
    [
        "delta+s3://AKIAEXAMPLE:pass%40word%2F@our-bucket/readings",
        "delta+s3://AKIAEXAMPLE:pass@word/our-bucket/readings",
        "delta+s3://our-bucket/x?secret_access_key=pass%40word",
        "delta+s3://our-bucket/x?endpoint_url=https%3A%2F%2Fme%3Apass%40word@host",
    ],
)
def test_a_password_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"password|access|unknown") as refused:
        BucketAddress.of(url)
    assert "pass" not in str(refused.value).replace("password", "")
    assert "AKIAEXAMPLE" not in str(refused.value)
