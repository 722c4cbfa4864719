"""After some wrong passwords, logins are refused for pauses that grow: per name and address, and per address."""

from __future__ import annotations

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.db.models import F
from django.http import HttpResponse
from django.test import Client, RequestFactory

from headend.portal.login_throttle import ADDRESS, NAME_AT_ADDRESS, throttled_address

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse"
HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture(autouse=True)
def users() -> None:
    """Two users."""
    for name in ("alice", "bob"):
        User.objects.create_user(name, password=PASSWORD, is_staff=True)


def log_in(name: str, password: str = PASSWORD, *, peer: str = HERE, agent: str = "x") -> int:
    """Send the login form with a new browser, and return the status: 302 after a successful login."""
    return answer_to(name, password, peer=peer, agent=agent).status_code


def answer_to(name: str, password: str, *, peer: str = HERE, agent: str = "x") -> HttpResponse:
    """Return the answer to the login form."""
    answer = Client().post(
        "/login/?next=/",
        {"username": name, "password": password},
        headers={"Accept": "text/html", "User-Agent": agent},
        REMOTE_ADDR=peer,
    )
    assert isinstance(answer, HttpResponse)
    return answer


def let_time_pass(time: timedelta) -> None:
    """Make all failures older."""
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - time)


def fail(count: int, name: str = "alice", peer: str = HERE) -> None:
    """Send wrong passwords, each after the pause of the one before."""
    for _ in range(count):
        assert log_in(name, "wrong", peer=peer) in (200, 429)
        AccessAttempt.objects.update(attempt_time=F("attempt_time") - NAME_AT_ADDRESS.max_pause)


def test_the_fifth_wrong_password_is_followed_by_a_pause() -> None:
    assert [log_in("alice", "wrong", agent=str(n)) for n in range(5)] == [200, 200, 200, 200, 429]
    answer = answer_to("alice", PASSWORD)
    assert (answer.status_code, answer["Retry-After"]) == (429, "10")
    assert "Too many failed logins. Try again in 10 seconds." in answer.content.decode()
    let_time_pass(timedelta(seconds=10))
    assert log_in("alice") == 302


def test_the_pause_is_twice_as_long_after_each_further_wrong_password() -> None:
    fail(4)
    pauses = []
    for _ in range(11):
        pauses.append(int(answer_to("alice", "wrong")["Retry-After"]))
        let_time_pass(timedelta(hours=1))
    assert pauses == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]
    let_time_pass(timedelta(days=1))
    assert log_in("alice", "wrong") == 200


def test_a_long_pause_is_shown_in_minutes() -> None:
    fail(8)
    assert "Try again in 3 minutes." in answer_to("alice", "wrong").content.decode()


def test_attempts_during_a_pause_do_not_make_it_longer() -> None:
    fail(4)
    assert [log_in("alice", "wrong") for _ in range(3)] == [429, 429, 429]
    let_time_pass(timedelta(seconds=10))
    assert log_in("alice") == 302


def test_a_login_forgets_the_failures_of_its_name_at_its_address() -> None:
    for _ in range(3):
        assert [log_in("alice", "wrong") for _ in range(4)] == [200] * 4
        assert log_in("alice") == 302


def test_ten_wrong_passwords_for_one_name_lock_out_no_other_user() -> None:
    fail(10)
    let_time_pass(-NAME_AT_ADDRESS.max_pause)
    assert log_in("alice") == 429
    assert log_in("bob") == 302
    assert log_in("alice", peer=ELSEWHERE) == 302


def test_an_address_that_tries_many_names_is_slowed_down() -> None:
    names = [f"name-{n}" for n in range(ADDRESS.failures)]
    assert [log_in(name, "wrong") for name in names[:-1]] == [200] * (ADDRESS.failures - 1)
    assert log_in("bob") == 302
    assert log_in(names[-1], "wrong") == 429
    assert (log_in("bob"), log_in("bob", peer=ELSEWHERE)) == (429, 302)
    let_time_pass(timedelta(seconds=10))
    assert log_in("bob") == 302


def test_a_login_does_not_forget_the_failures_of_other_names_at_the_address() -> None:
    AccessAttempt.objects.create(
        username="x", ip_address=HERE, failures_since_start=ADDRESS.failures - 1
    )
    assert log_in("bob") == 302
    assert log_in("y", "wrong") == 429
    assert log_in("bob") == 429


@pytest.mark.parametrize(
    ("failures", "seconds"), [(49, 0), (50, 10), (59, 10), (60, 20), (80, 80), (999999, 900)]
)
def test_the_pauses_of_an_address_grow_slowly(failures: int, seconds: int) -> None:
    assert ADDRESS.pause(failures) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("peer", "throttled"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", None),
    ],
)
def test_the_addresses_of_one_ipv6_network_count_as_one(peer: str, throttled: str | None) -> None:
    assert throttled_address(RequestFactory().get("/", REMOTE_ADDR=peer)) == throttled


def test_a_clock_that_was_set_back_does_not_make_a_pause_longer() -> None:
    fail(5)
    let_time_pass(timedelta(days=-30))
    assert int(answer_to("alice", PASSWORD)["Retry-After"]) == 10
