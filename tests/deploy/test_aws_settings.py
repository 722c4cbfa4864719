"""headend starts with the settings of the CloudFormation template, and each parameter sets what it names."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.aws_template import containers, template
from tests.deploy.tools import ROOT

AWS = {
    "AWS::StackName": "meters",
    "AWS::Region": "eu-west-1",
    "Bucket": "the-bucket",
    "Database.Endpoint.Address": "database.internal",
    "SftpBalancer.DNSName": "sftp.elb.amazonaws.com",
    "TransferServer.ServerId": "s-1",
}
"""Values of the stack and of its resources."""
REQUIRED = {"DomainName": "headend.example.com", "ImageUri": "", "CertificateArn": "", "ClientCidr": ""}  # fmt: skip
CHOSEN = {
    "GenerationInterval": 15,
    "TotalDevices": 1234,
    "DevicesPerWorker": 321,
    "RegionalVoltage": 110,
    "MinLoad": 2,
    "MaxLoad": 9,
    "LateArrivalSimulate": "ENABLED",
    "LateArrivalPercent": 7,
    "LateArrivalMinuteOffset": 90,
}
PRINT_SETTINGS = """
import json
from django.conf import settings
from django.core.management import call_command
call_command("check")
names = [name for name in dir(settings) if name.isupper() and not name.startswith("SECRET_KEY")]
values = {name: getattr(settings, name) for name in names}
print(json.dumps(values, default=str))
"""


class Stack:
    """Computes values of the template for given parameters."""

    def __init__(self, **chosen: object) -> None:
        defaults = {
            name: parameter["Default"]
            for name, parameter in template()["Parameters"].items()
            if "Default" in parameter
        }
        self._values = {**AWS, **defaults, **REQUIRED, **chosen}
        self._conditions = template()["Conditions"]

    def value(self, part: Any) -> str:
        """Return the text that CloudFormation makes from a part of the template."""
        match part:
            case {"Ref": name}:
                return str(self._values[name])
            case {"Fn::GetAtt": [resource, attribute]}:
                return str(self._values[f"{resource}.{attribute}"])
            case {"Fn::Sub": text}:
                return re.sub(r"\$\{([\w:.]+)\}", lambda name: str(self._values[name[1]]), text)
            case {"Fn::If": [condition, yes, no]}:
                return self.value(yes if self._holds({"Condition": condition}) else no)
            case _:
                return str(part)

    def _holds(self, condition: dict[str, Any]) -> bool:
        match condition:
            case {"Condition": name}:
                return self._holds(self._conditions[name])
            case {"Fn::Equals": [left, right]}:
                return self.value(left) == self.value(right)
            case {"Fn::Not": [other]}:
                return not self._holds(other)
            case _:
                return all(self._holds(each) for each in condition["Fn::And"])

    def environment(self, process: str) -> dict[str, str]:
        """Return the environment variables of the last container of a task."""
        variables = containers(process)[-1]["Environment"]
        return {each["Name"]: self.value(each["Value"]) for each in variables}


def settings_of(stack: Stack, home: Path) -> dict[str, Any]:
    """Return the settings with which a web task starts. The system checks must find no error."""
    environment = {
        "HEADEND_HOME": str(home),
        "HEADEND_SECRET_KEY": "s" * 60,
        "PGPASSWORD": "secret",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "--command", PRINT_SETTINGS],
        cwd=ROOT, env=stack.environment("Web") | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.starts_processes
def test_each_parameter_of_the_fleet_has_its_setting(tmp_path: Path) -> None:
    found = settings_of(Stack(**CHOSEN), tmp_path)
    fleet = {name: value for name, value in found.items() if name.startswith("SIMULATION")}
    assert (
        fleet.items()
        >= {
            "SIMULATION": True,
            "SIMULATION_INTERVAL": 15,
            "SIMULATION_DEVICES": 1234,
            "SIMULATION_DEVICES_PER_BATCH": 321,
            "SIMULATION_VOLTAGE": 110,
            "SIMULATION_MINIMUM_LOAD": 2,
            "SIMULATION_MAXIMUM_LOAD": 9,
            "SIMULATION_LATE_ARRIVALS": True,
            "SIMULATION_LATE_PERCENT": 7,
            "SIMULATION_LATE_MINUTES": 90,
        }.items()
    )
    assert found["READINGS_URL"] == "delta+s3://the-bucket/readings?region=eu-west-1"
    assert found["SECRETS_PREFIX"] == "meters"
    assert found["CELERY_BROKER_TRANSPORT_OPTIONS"]["queue_name_prefix"] == "meters-"
    assert found["SFTP_PUBLIC_HOST"] == AWS["SftpBalancer.DNSName"]
    assert found["DATABASES"]["default"]["HOST"] == AWS["Database.Endpoint.Address"]
    options = found["DATABASES"]["default"]["OPTIONS"]
    assert (options["sslmode"], options["sslrootcert"]) == ("verify-full", "/etc/headend/rds.pem")


@pytest.mark.starts_processes
def test_the_other_choices_have_their_settings(tmp_path: Path) -> None:
    choices = {
        "ReadingsStore": "Timestream",
        "TimestreamTableName": "loads",
        "SftpServer": "TransferFamily",
        "DeviceDataGeneratorInclude": "No",
        "Compatibility": "aws",
    }
    found = settings_of(Stack(**choices), tmp_path)
    assert found["READINGS_URL"].startswith(
        "timestream://devices/loads?region=eu-west-1&bucket=the-bucket/"
    )
    assert found["SFTP_PUBLIC_HOST"] == "s-1.server.transfer.eu-west-1.amazonaws.com"
    assert found["SIMULATION"] is False
    assert found["HEADEND_ANONYMOUS_SUPPLIER"] == "sftp-user"
    # The load balancer and the health check call this port.
    assert found["SFTP_PORT"] == 2222


def test_the_database_server_can_be_left_unverified() -> None:
    stack = Stack(DatabaseCertificates="")
    assert stack.environment("Web")["DATABASE_URL"].endswith("/headend?sslmode=require")


@pytest.mark.parametrize(
    ("include", "state", "simulation"),
    [("Yes", "ENABLED", "on"), ("Yes", "DISABLED", "off"), ("No", "ENABLED", "off")],
)
def test_the_fleet_runs_if_it_is_included_and_enabled(
    include: str, state: str, simulation: str
) -> None:
    stack = Stack(DeviceDataGeneratorInclude=include, GenerationState=state)
    assert stack.environment("Beat")["SIMULATION"] == simulation


def test_every_interval_that_divides_a_day_can_be_chosen() -> None:
    allowed = template()["Parameters"]["GenerationInterval"]["AllowedValues"]
    assert allowed == [minutes for minutes in range(1, 1441) if 1440 % minutes == 0]


def test_the_defaults_of_the_fleet_are_those_of_the_reference() -> None:
    defaults = {
        name: parameter.get("Default") for name, parameter in template()["Parameters"].items()
    }
    assert (
        defaults.items()
        >= {
            "GenerationState": "ENABLED",
            "GenerationInterval": 5,
            "TotalDevices": 50000,
            "DevicesPerWorker": 10000,
            "RegionalVoltage": 220,
            "MinLoad": 5,
            "MaxLoad": 20,
            "LateArrivalSimulate": "DISABLED",
            "LateArrivalPercent": 10,
            "LateArrivalMinuteOffset": 1440,
            "TimestreamDatabaseName": "devices",
            "TimestreamTableName": "readings",
        }.items()
    )
