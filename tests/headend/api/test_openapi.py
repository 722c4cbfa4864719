"""The OpenAPI schema is valid 3.1, and has a text and an example for everything a reader needs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import OpenAPIV31SpecValidator
from pytest_django.fixtures import Settings

from exports.delivery import webhook
from exports.models import FileRequest, Webhook

Schema = dict[str, Any]


@pytest.fixture(scope="module")
def schema() -> Schema:
    """The schema, as every client gets it."""
    answer: Schema = Client().get("/api/schema/full/", {"format": "json"}).json()
    return answer


def operations(schema: Schema) -> Iterator[Schema]:
    """Yield every operation, webhooks included."""
    for path in [*schema["paths"].values(), *schema["webhooks"].values()]:
        yield from path.values()


def contents(schema: Schema) -> Iterator[Schema]:
    """Yield the JSON content of every body and every response of the API."""
    for path in schema["paths"].values():
        for operation in path.values():
            if "requestBody" in operation:
                yield operation["requestBody"]["content"]["application/json"]
            for response in operation["responses"].values():
                yield response["content"]["application/json"]


def errors_of(schema: Schema, part: Schema, value: Any) -> list[str]:
    """Return why ``value`` does not match ``part``, a schema that may refer to components."""
    whole = {**part, "components": schema["components"]}
    validator = OAS31Validator(whole, format_checker=oas31_format_checker)
    return [error.message for error in validator.iter_errors(value)]


def test_the_schema_is_valid_openapi_3_1(schema: Schema) -> None:
    assert schema["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(schema).validate()


def test_nothing_is_left_of_openapi_3_0(schema: Schema) -> None:
    assert '"nullable"' not in json.dumps(schema)


def test_the_server_is_the_public_url(schema: Schema, settings: Settings) -> None:
    assert [server["url"] for server in schema["servers"]] == [settings.HEADEND_PUBLIC_URL]


def test_every_operation_has_a_summary_a_description_and_a_known_tag(schema: Schema) -> None:
    tags = {tag["name"] for tag in schema["tags"]}
    summaries = [operation["summary"] for operation in operations(schema)]
    assert len(set(summaries)) == len(summaries) == 10
    for operation in operations(schema):
        assert operation["description"]
        assert set(operation["tags"]) <= tags


def test_every_parameter_has_a_description_and_a_valid_example(schema: Schema) -> None:
    for operation in operations(schema):
        for parameter in operation["parameters"]:
            assert parameter["description"], parameter["name"]
            assert errors_of(schema, parameter["schema"], parameter["example"]) == []


def test_every_property_has_a_description(schema: Schema) -> None:
    for name, component in schema["components"]["schemas"].items():
        for key, value in component.get("properties", {}).items():
            assert "description" in value or "$ref" in json.dumps(value) or key in (
                "records", "request_id", "status", "test",
            ), f"{name}.{key}"  # fmt: skip


@pytest.mark.parametrize(
    ("column", "unit"),
    [("load", "kW"), ("crrnt", "A"), ("kva", "kVA"), ("kw", "kW"), ("vltg", "kV")],
)
def test_a_measured_value_has_its_unit(schema: Schema, column: str, unit: str) -> None:
    described = schema["components"]["schemas"]["Reading"]["properties"][column]["description"]
    assert described.endswith(f", {unit}.")


def test_every_body_and_every_response_has_a_valid_example(schema: Schema) -> None:
    assert len(list(contents(schema))) > 30
    for content in contents(schema):
        assert errors_of(schema, content["schema"], content["example"]) == []


def test_every_response_has_a_description_and_every_error_a_sentence(schema: Schema) -> None:
    for path in schema["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                assert response["description"]
                if status != "200":
                    example = response["content"]["application/json"]["example"]
                    assert example["error"].endswith(".")


def test_the_bearer_scheme_comes_first(schema: Schema) -> None:
    schemes = schema["components"]["securitySchemes"]
    assert schemes["bearer"] == {
        "type": "http",
        "scheme": "bearer",
        "description": "The API key.",
    }
    for path in schema["paths"].values():
        for operation in path.values():
            assert operation["security"] == [{"bearer": []}, {"apiKey": []}, {"token": []}]


def test_the_webhook_describes_the_events_that_are_sent(
    schema: Schema, completed: FileRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []

    def post(target: Webhook, body: str, **_: object) -> str:
        sent.append(body)
        return "The receiver answered 200."

    monkeypatch.setattr(webhook, "_post", post)
    target = Webhook(supplier=completed.supplier, url="https://example.com/")
    webhook.notify(completed, target, delivery_id=completed.pk)
    webhook.send_test(target)

    [operation] = schema["webhooks"]["file_request_final"].values()
    content = operation["requestBody"]["content"]["application/json"]
    values = [json.loads(body) for body in sent]
    values += [example["value"] for example in content["examples"].values()]
    for value in values:
        assert errors_of(schema, content["schema"], value) == []
    event = schema["components"]["schemas"]["WebhookEvent"]
    assert list(values[0]) == list(event["properties"]) == list(event["required"])
    headers = {parameter["name"] for parameter in operation["parameters"]}
    assert headers == {"webhook-id", "webhook-timestamp", "webhook-signature"}
