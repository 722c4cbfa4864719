"""Read the CloudFormation template of deploy/aws."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from typing import Any, NamedTuple

import yaml

from tests.deploy.tools import DEPLOY

PATH = DEPLOY / "aws" / "headend.yaml"
PROCESSES = {
    "Web": "web",
    "Worker": "worker",
    "Deliveries": "deliveries",
    "Beat": "beat",
    "Sftp": "sftp",
}
"""The process of the Procfile by the name that its resources begin with."""
Template = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """Reads the short forms of CloudFormation's functions: ``!Ref Name`` becomes ``{"Ref": "Name"}``."""


def _function(loader: _Loader, name: str, node: yaml.Node) -> dict[str, Any]:
    key = name if name in ("Ref", "Condition") else f"Fn::{name}"
    if isinstance(node, yaml.ScalarNode):
        text = loader.construct_scalar(node)
        return {key: text.split(".", 1) if name == "GetAtt" else text}
    if isinstance(node, yaml.SequenceNode):
        return {key: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {key: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _function)


@cache
def template() -> Template:
    """Return the template, with the long forms of its functions. Do not change it: all tests share it."""
    read: Template = yaml.load(PATH.read_text(), _Loader)  # noqa: S506 (a subclass of the safe loader)
    return read


def containers(process: str) -> list[dict[str, Any]]:
    """Return the containers of a task, such as ``Web``."""
    found: list[dict[str, Any]] = template()["Resources"][f"{process}Task"]["Properties"][
        "ContainerDefinitions"
    ]
    return found


class Permission(NamedTuple):
    """An action of IAM, and for S3 the bucket or object that it concerns: ``bucket`` or ``bucket/key``.

    A key can be a pattern.
    """

    action: str
    resource: str = ""

    def allows(self, other: Permission) -> bool:
        """Return whether this permission of a role includes one that a call needs."""
        # The keys of DeleteObjects are in the body of the call, so its resource is the whole bucket.
        whole_bucket = f"{self.resource.partition('/')[0]}/*"
        return self.action == other.action and (
            other.resource == whole_bucket or fnmatchcase(other.resource, self.resource)
        )

    def __str__(self) -> str:
        return f"{self.action} {self.resource}".strip()


def granted(process: str, bucket: str, *, timestream: bool = False) -> set[Permission]:
    """Return the permissions of the role of a process, with the name of the bucket.

    With ``timestream``, these are the additional ones of a stack that uses Timestream.
    """
    resources = template()["Resources"]
    [name] = [name for name, of_procfile in PROCESSES.items() if of_procfile == process]
    policies = [p["Ref"] for p in resources[f"{name}Role"]["Properties"]["ManagedPolicyArns"]]
    statements = [
        statement["Fn::If"][1] if timestream else statement
        for policy in policies
        for statement in resources[policy]["Properties"]["PolicyDocument"]["Statement"]
        if ("Fn::If" in statement) == timestream
    ]
    return {
        Permission(action, _resource(action, statement["Resource"], bucket))
        for statement in statements
        for action in statement["Action"]
    }


def _resource(action: str, resource: Any, bucket: str) -> str:
    if not action.startswith("s3:"):
        return ""
    if resource == {"Fn::GetAtt": ["Bucket", "Arn"]}:
        return bucket
    return str(resource["Fn::Sub"]).replace("${Bucket.Arn}", bucket)
