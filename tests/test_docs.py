"""The documentation matches the product: links, settings, commands, targets and the order of setup."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class
from pytest_django.fixtures import Settings

from headend.deployment.bootstrap import gigabytes_per_day
from headend.monitoring.health import PROBES
from headend.portal.attention import MAX_QUEUED_FOR
from tests.syntax import nodes_of

ROOT = Path(__file__).parent.parent
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "deploy").rglob("*.md"),
]
APPS = ("headend", "readings", "exports")
INTERNAL_VARIABLES = {"DJANGO_SETTINGS_MODULE", "HEADEND_LIVE_AWS", "HEADEND_LIVE_BUCKET"}


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes from the headings of a page."""
    headings = re.findall(r"(?m)^#+ (.+)$", page.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def variables_read_by_the_product() -> set[str]:
    """Return the names passed to the readers of :mod:`headend.config.environment`."""
    names = set()
    for module in (ROOT / "headend").rglob("*.py"):
        for node in nodes_of(module):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "env"
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                names.add(str(node.args[0].value))
    return names


def cells_of_first_column(page: Path) -> list[str]:
    """Return the first cell of every table row of a page."""
    return re.findall(r"(?m)^\| (`[^|]+`) \|", page.read_text().replace(r"\|", "/"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text)
    for link in links:
        if re.match(r"https?:|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name} links to {link}"


def test_the_readme_is_short_and_shows_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 150
    assert re.search(r"(?m)^\$ make run ", text)
    assert re.search(r"(?m)^\$ make test ", text)


def test_the_guide_for_engineers_lists_exactly_the_settings_that_exist() -> None:
    documented = {
        name
        for cell in cells_of_first_column(ROOT / "docs" / "engineers.md")
        for name in re.findall(r"`([A-Z][A-Z_]+)`", cell)
    }
    assert documented == variables_read_by_the_product() - INTERNAL_VARIABLES


def test_the_guide_for_engineers_lists_exactly_the_commands_that_exist() -> None:
    own = {name for name, app in get_commands().items() if app in APPS}
    documented = {
        cell.strip("`").split()[0]
        for cell in cells_of_first_column(ROOT / "docs" / "engineers.md")
        if cell[1].islower()
    }
    assert documented - {"/health/live", "/health/ready", "/metrics"} == own


@pytest.mark.parametrize(
    "name", sorted(name for name, app in get_commands().items() if app in APPS)
)
def test_the_help_of_a_command_has_an_example(name: str) -> None:
    command = load_command_class(get_commands()[name], name)
    assert "Example" in command.help
    assert "manage.py " + name in " ".join(command.help.split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_in_the_documentation_exists(page: Path) -> None:
    targets = set(re.findall(r"(?m)^([a-z][a-z-]*):", (ROOT / "Makefile").read_text()))
    named = set(re.findall(r"(?m)(?:`|^\$ )make ([a-z-]+)", page.read_text()))
    assert named <= targets, page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_in_the_documentation_exists(page: Path) -> None:
    for path, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page.read_text()):
        test_file = ROOT / path
        assert test_file.exists(), path
        assert not name or f"\ndef {name}(" in test_file.read_text(), f"{path}::{name}"


def test_the_guide_for_operating_explains_every_alert_and_every_metric() -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    rules = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text()
    alerts = re.findall(r"alert: (\w+)", rules)
    sources = [
        ROOT / "exports" / "metrics.py",
        ROOT / "exports" / "sftp" / "metrics.py",
        ROOT / "readings" / "feed.py",
    ]
    metrics = [
        name for file in sources for name in re.findall(r'"(headend_\w+)",', file.read_text())
    ]
    assert len(alerts) > 5
    assert len(metrics) > 5
    assert [name for name in (*alerts, *metrics) if f"`{name}" not in page] == []


def test_the_guide_for_operating_explains_every_alert_of_the_overview() -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    source = (ROOT / "headend" / "portal" / "attention.py").read_text()
    nodes = list(ast.walk(ast.parse(source)))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    pieces = {
        node.value.strip(" .(")
        for node in nodes
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
        and len(node.value.split()) > 3
    }
    assert len(pieces) > 5
    assert [piece for piece in pieces if piece not in page] == []
    # Further alerts are the sentences of /health/ready.
    names = [f"| `/health/ready`: `{probe.name}` |" for probe in PROBES]
    assert [name for name in names if name not in page] == []


def test_all_alarms_report_a_queued_request_at_the_same_age() -> None:
    seconds = int(MAX_QUEUED_FOR.total_seconds())
    deploy = ROOT / "deploy"
    places = {
        ROOT / "docs" / "operating.md": r"`headend_queue_age_seconds` > (\d+)",
        deploy / "prometheus" / "alerts.yml": r"headend_queue_age_seconds > (\d+)",
        deploy
        / "grafana"
        / "headend.json": r'"title": "Age of the queue"[\s\S]+?"red",\s+"value": (\d+)',
        deploy / "aws" / "headend.yaml": r"QueueOldAlarm:\n(?:.+\n){9} +Threshold: (\d+)",
    }
    for file, pattern in places.items():
        found = re.findall(pattern, file.read_text())
        assert found == [str(seconds)], file
    assert f"more than {seconds // 60} minutes" in (ROOT / "docs" / "operating.md").read_text()


def test_setup_estimates_the_disk_space_that_the_guide_states(settings: Settings) -> None:
    settings.SIMULATION_DEVICES, settings.SIMULATION_INTERVAL = 50_000, 5
    guide = (ROOT / "docs" / "operating.md").read_text()
    assert f"| 50,000 | 5 min | 14.4 million | {gigabytes_per_day():.2g} |" in guide
