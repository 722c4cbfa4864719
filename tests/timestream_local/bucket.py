"""The S3 server that UNLOAD writes to and batch loads read from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.timestream_local.protocol import invalid


class Bucket:
    """Buckets of one S3 endpoint; None is AWS. boto3 finds the credentials."""

    def __init__(self, endpoint: str | None) -> None:
        self._endpoint = endpoint

    @cached_property
    def _client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self._endpoint,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Write an object. Raises :class:`ServiceError` if S3 refuses it."""
        try:
            self._client.put_object(Bucket=bucket, Key=key, Body=content)
        except (BotoCoreError, ClientError) as error:
            raise invalid(f"s3://{bucket}/{key} cannot be written: {error}") from None

    def objects(self, bucket: str, prefix: str) -> Iterator[tuple[str, bytes]]:
        """Yield key and content of each object under a prefix. Raises :class:`ServiceError` if S3 fails."""
        try:
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix=prefix
            ):
                for each in page.get("Contents", ()):
                    answer = self._client.get_object(Bucket=bucket, Key=each["Key"])
                    yield each["Key"], answer["Body"].read()
        except (BotoCoreError, ClientError) as error:
            raise invalid(f"s3://{bucket}/{prefix} cannot be read: {error}") from None
