"""The lists of the admin refuse years that do not exist, and show the first page instead."""

from __future__ import annotations

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "query",
    [
        "time__year=9999",
        "time__year=9999&time__month=12",
        "time__year=9999&time__month=12&time__day=31",
        "time__year=99999999999",
        "time__year=0",
    ],
)
def test_a_year_that_is_out_of_range_leads_back_to_the_list(
    admin_client: Client, query: str
) -> None:
    answer = admin_client.get(f"/admin/readings/intervaltotals/?{query}", follow=True)
    assert answer.status_code == 200
    assert answer.request["QUERY_STRING"] == "e=1"


def test_another_year_filters_the_list(admin_client: Client) -> None:
    answer = admin_client.get("/admin/readings/intervaltotals/?time__year=2023")
    assert answer.status_code == 200
