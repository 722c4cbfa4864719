"""moto creates the stack of the CloudFormation template, and deletes it again.

moto skips the types of resources that it does not know, such as secrets, scaling policies and AWS Transfer Family. cfn-lint
alone checks their properties.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.deploy.aws_template import template

NAME = "meters"
DOMAIN = "headend.example.com"
PARAMETERS = {
    "ImageUri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/headend:1.0.0",
    "DomainName": DOMAIN,
    "ClientCidr": "198.51.100.0/24",
}
OTHER_CHOICES = {
    "SftpServer": "TransferFamily",
    "TransferPublicKey": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==",
    "ReadingsStore": "Timestream",
    "AlarmEmail": "operator@example.com",
}
SERVER_ID = "s-0123456789abcdef0"


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """moto in this process, in place of AWS."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield


def prepared(part: Any) -> Any:
    """Return a part of the template without what moto cannot compute."""
    if isinstance(part, dict):
        if "Fn::Cidr" in part:
            return [f"10.73.{number}.0/24" for number in range(4)]
        if part.get("Fn::GetAtt") == ["TransferServer", "ServerId"]:
            return SERVER_ID
        return {key: prepared(value) for key, value in part.items()}
    if isinstance(part, list):
        # moto keeps AWS::NoValue in a list as null.
        no_value = {"Ref": "AWS::NoValue"}
        return [prepared(value) for value in part if no_value not in value_or_branches(value)]
    if isinstance(part, str):
        address = part.replace("${Database.Endpoint.Address}", "database.internal")
        return address.replace("${TransferServer.ServerId}", SERVER_ID)
    return part


def value_or_branches(value: Any) -> list[Any]:
    """Return the branches of ``Fn::If``, or the value."""
    return value["Fn::If"][1:] if isinstance(value, dict) and "Fn::If" in value else [value]


def prepared_template() -> dict[str, Any]:
    """Return the template without the parts that moto refuses."""
    ready: dict[str, Any] = prepared(template())
    resources = ready["Resources"]
    # moto knows HTTP and HTTPS listeners only.
    del resources["SftpListener"]
    resources["SftpService"]["DependsOn"].remove("SftpListener")
    # moto does not delete the route tables of a stack, and then refuses to delete their network.
    resources["Vpc"]["DeletionPolicy"] = "Retain"
    return ready


def create(**choices: str) -> dict[str, str]:
    """Create the stack and return its outputs."""
    certificate = boto3.client("acm").request_certificate(DomainName=DOMAIN)["CertificateArn"]
    parameters = {**PARAMETERS, "CertificateArn": certificate, **choices}
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(
        StackName=NAME,
        TemplateBody=json.dumps(prepared_template()),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
    )
    [stack] = cloudformation.describe_stacks(StackName=NAME)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def remaining() -> dict[str, int]:
    """Return how many of the costly resources exist."""
    services = boto3.client("ecs")
    clusters = services.list_clusters()["clusterArns"]
    return {
        "clusters": len(clusters),
        "services": sum(len(services.list_services(cluster=c)["serviceArns"]) for c in clusters),
        "load balancers": len(boto3.client("elbv2").describe_load_balancers()["LoadBalancers"]),
        "databases": len(boto3.client("rds").describe_db_instances()["DBInstances"]),
        "queues": len(boto3.client("sqs").list_queues().get("QueueUrls", [])),
        "roles": len(boto3.client("iam").list_roles()["Roles"]),
    }


@pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
def test_the_stack_is_created_with_the_outputs_of_the_guide_and_deleted() -> None:
    outputs = create()
    assert outputs["apiGatewayInvokeURL"] == f"https://{DOMAIN}"
    assert outputs["SecretName"] == f"{NAME}/sftp/private_key"
    assert outputs["SftpUserName"] == "sftp-user"
    assert outputs["SftpServerAddress"].endswith(".elb.amazonaws.com")
    assert remaining() == {
        "clusters": 1,
        "services": 5,
        "load balancers": 2,
        "databases": 1,
        "queues": 3,
        "roles": 7,
    }
    boto3.client("cloudformation").delete_stack(StackName=NAME)
    # moto deletes neither clusters nor services.
    assert {what for what, number in remaining().items() if number} == {"clusters", "services"}
    [bucket] = boto3.client("s3").list_buckets()["Buckets"]
    assert bucket["Name"] == outputs["BucketName"], "readings and files stay"


@pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
def test_a_stack_can_use_timestream_and_transfer_family() -> None:
    outputs = create(**OTHER_CHOICES)
    assert outputs["TimestreamTableARN"].endswith(":database/devices/table/readings")
    assert outputs["TimestreamDatabaseARN"].endswith(":database/devices")
    assert outputs["SftpServerAddress"] == f"{SERVER_ID}.server.transfer.us-east-1.amazonaws.com"
    assert remaining()["services"] == 4
    assert len(boto3.client("sns").list_subscriptions()["Subscriptions"]) == 1
