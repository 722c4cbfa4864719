"""Tests of the page of readings: window, export link and access."""

from __future__ import annotations

import html
import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.asserts import assertNumQueries
from pytest_django.fixtures import Settings

from exports.models import Supplier
from tests.headend.portal.conftest import FIRST_METER
from tests.headend.portal.markup import get_page

pytestmark = pytest.mark.django_db
LIMITS = {
    "delta:///srv/readings": (
        "Delta Lake on disk, <code>delta:///srv/readings</code>",
        "Several hosts need a folder that all of them share.",
    ),
    "clickhouse://headend:secret@db.example:8443/headend": (
        "ClickHouse, <code>clickhouse://headend:***@db.example:8443/headend</code>",
        "No old versions are kept",
    ),
    "timestream://devices/readings?region=us-east-1": (
        "Amazon Timestream, <code>timestream://devices/readings?region=us-east-1</code>",
        "No old versions are kept",
        "Each count is charged",
    ),
}
"""What the page says about the store of each URL."""


@pytest.mark.usefixtures("stored_hour")
def test_the_page_shows_the_window_of_the_url_query(operator: Client) -> None:
    page = get_page(operator, "/fleet/?start=2023-02-27+16:10&end=2023-02-27+16:30")
    assert (
        "500 readings in 5 intervals, 0 of them late. At most 100 meters in one interval." in page
    )
    assert 'class="curve ' in page


@pytest.mark.usefixtures("stored_hour")
def test_the_export_link_fills_in_the_window(operator: Client) -> None:
    Supplier.objects.create(name="alice")
    page = get_page(operator, "/fleet/?start=2023-02-27+16:10&end=2023-02-27+16:30")
    [link] = re.findall(r'href="(/requests/new/[^"]+)"', page)
    form = operator.get(html.unescape(link)).content.decode()
    assert 'value="2023-02-27 16:10:00"' in form
    assert 'value="2023-02-27 16:30:00"' in form


@pytest.mark.usefixtures("stored_hour")
@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("start=x&end=2023-02-28", "From (UTC): &#x27;x&#x27; is not a date"),
        (
            "start=1969-12-31&end=2023-02-28",
            "From (UTC): &#x27;1969-12-31&#x27; is not between 1970",
        ),
        ("start=2023-02-27&end=9999-12-31", "To (UTC): &#x27;9999-12-31&#x27; is not between 1970"),
        ("start=2023-02-28&end=2023-02-27", "“To” must be later than “From”."),
        ("start=2023-02-27&end=2023-02-27", "“To” must be later than “From”."),
        ("start=2023-02-28", "This field is required."),
    ],
)
def test_an_invalid_window_shows_an_error(operator: Client, query: str, error: str) -> None:
    assert error in operator.get(f"/fleet/?{query}").content.decode()


@pytest.mark.usefixtures("stored_hour")
def test_the_page_needs_nine_queries(operator: Client) -> None:
    with assertNumQueries(9):
        operator.get("/fleet/")


def test_a_deployment_without_readings_shows_how_to_add_some(operator: Client) -> None:
    assert "python manage.py backfill" in operator.get("/fleet/").content.decode()


def test_the_pages_need_a_login_and_staff(client: Client, django_user_model: type[User]) -> None:
    paths = ("/fleet/", "/fleet/meters/", f"/fleet/meters/{FIRST_METER}/")
    for path in paths:
        assert client.get(path)["Location"].startswith("/login/")
    client.force_login(django_user_model.objects.create_user("stranger"))
    for path in paths:
        assert client.get(path).status_code == 403


@pytest.mark.parametrize("readings_url", list(LIMITS))
def test_the_page_shows_the_engine_and_what_it_cannot_do(
    operator: Client, settings: Settings, readings_url: str
) -> None:
    settings.READINGS_URL = readings_url
    page = get_page(operator, "/fleet/")
    for text in LIMITS[readings_url]:
        assert text in page
    assert "Old versions are kept" not in page
    assert "secret" not in page
