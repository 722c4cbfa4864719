"""AWS JSON 1.0, the protocol of both services of Timestream, according to boto3's service models."""

from __future__ import annotations

from functools import cache
from typing import Any

import botocore.session
from botocore.model import OperationModel, ServiceModel
from botocore.validate import ParamValidator

from tests.timestream_local.json_schema import validator_of

SERVICES = ("timestream-write", "timestream-query")
CONTENT_TYPE = "application/x-amz-json-1.0"

Body = dict[str, Any]


class ServiceError(Exception):
    """An error of the service model. ``members`` are its members other than the message."""

    def __init__(self, code: str, message: str, **members: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.members = members

    @property
    def status(self) -> int:
        """The HTTP status of the error."""
        for service in models():
            if self.code in service.shape_names:
                error = service.shape_for(self.code).metadata.get("error", {})
                return int(error.get("httpStatusCode", 400))
        return 400

    def body(self) -> Body:
        """Return the JSON body of the response."""
        return {
            "__type": self.code,
            "message": self.message,
            "Message": self.message,
            **self.members,
        }


def invalid(message: str) -> ServiceError:
    """Return the error for a call that is not valid."""
    return ServiceError("ValidationException", message)


def validate(target: str, body: Any) -> tuple[str, Body]:
    """Return the name of the operation in ``X-Amz-Target`` and its parameters, validated by the model.

    Raises :class:`ServiceError` if the operation is unknown or a parameter is not valid.
    """
    operation = _operation(target)
    if not isinstance(body, dict):
        raise ServiceError("SerializationException", "The body is not a JSON object.")
    shape = operation.input_shape
    unknown = body.keys() - set(shape.members) if shape else body.keys()
    # botocore takes 30 times as long as the JSON schema, but has the message.
    if unknown or not validator_of(operation).is_valid(body):
        report = ParamValidator().validate(body, shape) if shape else None
        if unknown or (report is not None and report.has_errors()):
            reasons = report.generate_report() if report is not None else ""
            raise invalid(f"{' '.join(sorted(unknown))} {reasons}".strip())
    _check_lengths(operation, body)
    return operation.name, body


def _check_lengths(operation: OperationModel, body: Body) -> None:
    # botocore does not check upper bounds.
    for name, value in body.items():
        maximum = operation.input_shape.members[name].metadata.get("max")
        size = value if isinstance(value, int) else len(value) if hasattr(value, "__len__") else 0
        if maximum is not None and size > maximum:
            raise invalid(
                f"1 validation error detected: Value at '{name}' failed to satisfy constraint: "
                f"Member must have {'value' if isinstance(value, int) else 'length'} less than or "
                f"equal to {maximum}"
            )


def _operation(target: str) -> OperationModel:
    prefix, _, name = target.partition(".")
    for service in models():
        if prefix == service.metadata["targetPrefix"] and name in service.operation_names:
            return service.operation_model(name)
    raise ServiceError("UnknownOperationException", f"The operation {target!r} does not exist.")


@cache
def models() -> tuple[ServiceModel, ...]:
    """Return boto3's models of both services."""
    session = botocore.session.get_session()
    return tuple(session.get_service_model(name) for name in SERVICES)
