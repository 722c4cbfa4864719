"""The parameters of an operation as a JSON schema, which is validated much faster than botocore validates."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
from botocore.model import OperationModel

Rules = dict[str, Any]

_validators: dict[tuple[str, str], jsonschema_rs.Validator] = {}


def validator_of(operation: OperationModel) -> jsonschema_rs.Validator:
    """Return a validator of the operation's parameters.

    Everything that it accepts is valid according to botocore. It refuses a few valid values: times, and booleans in
    place of numbers.
    """
    key = operation.service_model.service_name, operation.name
    if key not in _validators:
        definitions: dict[str, Rules] = {}
        root = _reference(operation.input_shape, definitions) if operation.input_shape else {}
        _validators[key] = jsonschema_rs.validator_for(root | {"$defs": definitions})
    return _validators[key]


def _reference(shape: Any, definitions: dict[str, Rules]) -> Rules:
    """Add the rules of a shape, and of the shapes that it contains, to the definitions."""
    if shape.name not in definitions:
        definitions[shape.name] = {}  # A shape may contain itself.
        definitions[shape.name] = _rules(shape, definitions)
    return {"$ref": f"#/$defs/{shape.name}"}


def _rules(shape: Any, definitions: dict[str, Rules]) -> Rules:
    least = shape.metadata.get("min", 0)
    match shape.type_name:
        case "structure":
            members = {name: _reference(each, definitions) for name, each in shape.members.items()}
            return {
                "type": "object",
                "required": shape.required_members,
                "properties": members,
                "additionalProperties": False,
            }
        case "list":
            items = _reference(shape.member, definitions)
            return {"type": "array", "items": items, "minItems": least}
        case "map":
            return {
                "type": "object",
                "propertyNames": _reference(shape.key, definitions),
                "additionalProperties": _reference(shape.value, definitions),
            }
        case "string":
            return {"type": "string", "minLength": least}
        case "integer" | "long":
            return {"type": "integer"} | ({"minimum": least} if "min" in shape.metadata else {})
        case "boolean":
            return {"type": "boolean"}
        case _:
            return {"not": {}}
