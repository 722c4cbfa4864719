"""Read the CloudFormation template of deploy/aws."""

from __future__ import annotations

from typing import Any

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
    return {key: loader.construct_mapping(node, deep=True)}  # type: ignore[arg-type] # the only kind that is left


_Loader.add_multi_constructor("!", _function)


def template() -> Template:
    """Return the template, with the long forms of its functions."""
    read: Template = yaml.load(PATH.read_text(), _Loader)  # noqa: S506 (a subclass of the safe loader)
    return read


def containers(process: str) -> list[dict[str, Any]]:
    """Return the containers of a task, such as ``Web``."""
    found: list[dict[str, Any]] = template()["Resources"][f"{process}Task"]["Properties"][
        "ContainerDefinitions"
    ]
    return found
