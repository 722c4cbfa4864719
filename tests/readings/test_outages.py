"""Errors of a disk or a service are distinguished from bugs."""

from __future__ import annotations

import pytest
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    OperationNotPageableError,
    ParamValidationError,
    UnknownParameterError,
)
from urllib3.exceptions import ProtocolError

from exports.pipeline.failure_reasons import failure_reason
from readings.outages import is_bucket_outage, is_outage


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "403", "Message": "no"}}, "HeadObject"),
        EndpointConnectionError(endpoint_url="https://bucket.example"),
        S3UploadFailedError("cut"),
        ProtocolError("cut"),
    ],
)
def test_an_error_of_a_bucket_is_an_outage(error: Exception) -> None:
    assert is_bucket_outage(error)
    assert is_outage(error)


@pytest.mark.parametrize(
    "error",
    [
        ParamValidationError(report="Key must be a string."),
        UnknownParameterError(name="Kye", operation="GetObject", choices="Key"),
        OperationNotPageableError(operation_name="head_bucket"),
    ],
)
def test_a_wrong_call_of_headend_is_a_bug(error: Exception) -> None:
    assert not is_outage(error)
    assert failure_reason(error) == f"{type(error).__name__}: {error}"
