"""An operator's browser, and a small fleet."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings

METERS = 100


@pytest.fixture(autouse=True)
def small_fleet(settings: Settings) -> None:
    """A hundred meters, none of them late."""
    settings.SIMULATION_DEVICES = METERS


@pytest.fixture
def operator(client: Client, admin_user: User) -> Client:
    """A browser in which an operator is logged in."""
    client.force_login(admin_user)
    return client
