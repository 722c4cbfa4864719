"""The CloudFormation template is valid, safe, and sets settings that the product has."""

from __future__ import annotations

import re
from typing import Any

import pytest

from headend.config.draining import drain_seconds
from headend.http import gunicorn_config
from tests.deploy.aws_template import PATH, PROCESSES, containers, template
from tests.deploy.tools import DEPLOY, ROOT, run

PARAMETERS_OF_THE_REFERENCE = {
    "TimestreamCreation", "TimestreamDatabaseName", "TimestreamTableName", "DeviceDataGeneratorInclude",
    "GenerationState", "GenerationInterval", "TotalDevices", "DevicesPerWorker", "RegionalVoltage", "MinLoad", "MaxLoad",
    "LateArrivalSimulate", "LateArrivalPercent", "LateArrivalMinuteOffset",
}  # fmt: skip
OUTPUTS_OF_THE_GUIDE = {
    "apiGatewayInvokeURL", "SecretARN", "SecretName", "SftpServerAddress", "SftpUserName", "TimestreamDatabaseARN",
    "TimestreamTableARN",
}  # fmt: skip
OTHER_PROGRAMS = {"TMPDIR", "PGPASSWORD"}
"""Variables that Python and PostgreSQL's client read."""


@pytest.mark.starts_processes
def test_the_template_passes_cfn_lint() -> None:
    assert run("cfn-lint", PATH) == ""


@pytest.mark.starts_processes
def test_the_template_passes_checkov_and_each_exception_has_a_reason() -> None:
    run("checkov", "--file", PATH, "--framework", "cloudformation", "--quiet", "--skip-download")
    skipped = [
        skip
        for resource in template()["Resources"].values()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]
    assert skipped
    assert all(len(skip["comment"].split()) > 4 for skip in skipped)


def test_parameters_and_outputs_have_the_names_of_the_reference() -> None:
    assert set(template()["Parameters"]) >= PARAMETERS_OF_THE_REFERENCE
    assert set(template()["Outputs"]) >= OUTPUTS_OF_THE_GUIDE


def test_every_parameter_has_a_label_and_belongs_to_a_group() -> None:
    interface = template()["Metadata"]["AWS::CloudFormation::Interface"]
    parameters = set(template()["Parameters"])
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(parameters)
    assert set(interface["ParameterLabels"]) == parameters


def test_every_limited_parameter_has_a_sentence_that_names_it() -> None:
    limits = {"AllowedPattern", "MinValue", "MaxValue"}
    parameters = template()["Parameters"]
    limited = {name for name, parameter in parameters.items() if limits & parameter.keys()}
    assert len(limited) > 15
    for name in {*limited, "GenerationInterval"}:
        assert parameters[name]["ConstraintDescription"].startswith(f"{name} takes ")


def test_the_guide_explains_every_parameter_output_and_alarm() -> None:
    guide = PATH.with_name("README.md").read_text()
    parts = template()
    parameters = {name for name in parts["Parameters"] if f"`{name}`" not in guide}
    outputs = {name for name in parts["Outputs"] if f"**{name}**" not in guide}
    alarms = {
        name
        for name, resource in parts["Resources"].items()
        if resource["Type"] == "AWS::CloudWatch::Alarm" and not re.search(rf"\b{name}\b", guide)
    }
    assert (parameters, outputs, alarms) == (set(), set(), set())


@pytest.mark.parametrize(
    ("parameter", "accepted", "refused"),
    [
        ("ImageUri", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/headend:1.0.0", "headend"),
        ("ImageUri", f"registry.example:5000/headend@sha256:{'a' * 64}", "headend:1 2"),
        ("DomainName", "headend.example.com", "https://headend.example.com"),
        ("ClientCidr", "0.0.0.0/0", "198.51.100.7"),
        ("TransferPublicKey", "", "-----BEGIN RSA PRIVATE KEY-----"),
        ("TransferPublicKey", "ssh-ed25519 AAAAC3Nza supplier", "AAAAC3Nza"),
        ("DatabaseCertificates", "", "rds.pem"),
        ("DatabaseCertificates", "/etc/headend/rds.pem", "/etc/rds.pem&sslmode=disable"),
        ("AlarmEmail", "operator@example.com", "operator"),
        ("TimestreamTableName", "readings", "my readings"),
        ("VpcCidr", "10.0.0.0/16", "10.0.0.0/28"),
    ],
)
def test_a_wrong_parameter_is_refused_with_a_sentence_that_names_it(
    parameter: str, accepted: str, refused: str
) -> None:
    described = template()["Parameters"][parameter]
    assert re.fullmatch(described["AllowedPattern"], accepted)
    assert not re.fullmatch(described["AllowedPattern"], refused)
    assert described["ConstraintDescription"].startswith(parameter)


def environment_of(container: dict[str, Any]) -> dict[str, Any]:
    """Return the environment variables of a container."""
    return {variable["Name"]: variable["Value"] for variable in container["Environment"]}


def test_all_containers_have_the_same_settings_and_the_product_has_each() -> None:
    found = [container for process in PROCESSES for container in containers(process)]
    environments = [environment_of(container) for container in found]
    for environment in environments:
        # The SFTP task exists only with the load balancer, whose name it needs.
        environment.pop("SFTP_PUBLIC_HOST")
    assert all(environment == environments[0] for environment in environments)
    settings = (ROOT / "docs" / "engineers.md").read_text()
    names = {*environments[0], *(secret["Name"] for c in found for secret in c["Secrets"])}
    assert {name for name in names if f"`{name}`" not in settings} == OTHER_PROGRAMS


def test_each_process_of_the_procfile_has_a_service_that_starts_after_setup() -> None:
    resources = template()["Resources"]
    services = {
        n.removesuffix("Service") for n, r in resources.items() if r["Type"] == "AWS::ECS::Service"
    }
    assert services == set(PROCESSES)
    setup, beat = containers("Beat")
    assert (setup["Command"], beat["Command"]) == (["setup"], ["process", "beat"])
    assert beat["DependsOn"] == [{"ContainerName": setup["Name"], "Condition": "SUCCESS"}]
    for name in services - {"Beat"}:
        [container] = containers(name)
        assert container["Command"] == ["process", PROCESSES[name]]
        assert "BeatService" in resources[f"{name}Service"]["DependsOn"]


def test_tasks_have_more_time_to_end_than_processes_need() -> None:
    found = [container for name in PROCESSES for container in containers(name)]
    assert all(container["StopTimeout"] > drain_seconds() for container in found)


def test_the_load_balancer_closes_unused_connections_before_the_web_server_does() -> None:
    balancer = template()["Resources"]["WebBalancer"]["Properties"]
    attributes = {each["Key"]: each["Value"] for each in balancer["LoadBalancerAttributes"]}
    assert int(attributes["idle_timeout.timeout_seconds"]) < gunicorn_config.keepalive


def test_tasks_run_without_rights_and_without_a_public_address() -> None:
    resources = template()["Resources"].values()
    for service in (r["Properties"] for r in resources if r["Type"] == "AWS::ECS::Service"):
        network = service["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert network["AssignPublicIp"] == "DISABLED"
    found = [container for name in PROCESSES for container in containers(name)]
    assert all(container["ReadonlyRootFilesystem"] for container in found)
    # Fargate gives a volume the owner that the image's folder has, if the image declares it.
    image = (DEPLOY / "Dockerfile").read_text()
    folders = {mount["ContainerPath"] for container in found for mount in container["MountPoints"]}
    assert folders == set(re.findall(r"(?m)^VOLUME (.+)$", image))
