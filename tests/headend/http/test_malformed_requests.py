"""Requests that no view can answer are refused with 400 or 413, whatever their URL is."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.test import Client

from exports.models import Supplier
from headend.portal.login import MAX_USERNAME_LENGTH
from tests.every_url import POISON
from tests.suppliers import api_client, create_api_key

pytestmark = pytest.mark.django_db

PATHS = [
    "/login/",
    "/health/live",
    "/metrics",
    "/readings",
    "/requests/",
    "/admin/",
    "/api/docs/",
    "/static/x",
    "/x",
]
HEADERS: list[dict[str, str]] = [
    *({"Host": host} for host in ("localhost:x", "[::1", "a b", "ä.example", "", ":", "localhost:-1", "@", "\0", "a" * 9000)),
    {"Cookie": 'sessionid="\\000aaaaaaaa"'},
    {"Cookie": "sessionid=" + "x" * 5000},
    {"Cookie": "csrftoken=\xff; messages=broken:signature; sessionid=\x80"},
    {"X-CSRFToken": "\xff"},
    {"Origin": "http://["},
    {"Referer": "http://[:99999"},
    {"X-Forwarded-For": "\0, 1.2.3.4.5", "X-Forwarded-Host": "localhost:99999", "X-Forwarded-Proto": "gopher"},
    {"X-Request-Id": "\x80" * 500},
    {"HX-Request": "true", "HX-Current-URL": "http://[", "HX-Current-URL-URI-AutoEncoded": "x"},
    {"If-Modified-Since": "Thu, 99 Foo 99999 99:99:99 GMT", "If-None-Match": '"'},
    {"Range": "bytes=" + "9" * 400 + "-"},
    {"Accept-Encoding": "gzip;q=nan, *;q=1e999, br;q=x"},
    {"Accept-Language": "\xff;q=x"},
    {"Authorization": "Token \xff"},
    {"Authorization": "Basic %%%"},
    {"X-API-Key": "x" * 9000},
    {"X-HTTP-Method-Override": "DELETE"},
]  # fmt: skip


@pytest.mark.parametrize("headers", HEADERS, ids=str)
def test_a_strange_header_is_no_5xx(headers: dict[str, str]) -> None:
    client = Client(raise_request_exception=False)
    for path in PATHS:
        assert client.get(path, headers=headers).status_code < 500, path
        if path != "/health/live":
            assert client.post(path, headers=headers).status_code < 500, path


@pytest.mark.parametrize("port", ["65536", "99999", "0099999", "9" * 30])
def test_a_port_that_does_not_exist_is_a_400(client: Client, port: str) -> None:
    for path in ("/login/", "/readings", "/admin/", "/files/x/y"):
        answer = client.get(path, headers={"Host": f"localhost:{port}"})
        assert answer.status_code == 400
        assert answer.json() == {"error": "The port in the Host header is greater than 65535."}
    assert client.get("/login/", headers={"Host": "localhost:65535"}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/requests/?status=%00", "/requests/?%00=x", "/admin/x%00/", "/login/?next=%00"]
)
def test_a_nul_in_path_or_query_is_a_400(admin_client: Client, path: str) -> None:
    page = admin_client.get(path, headers={"Accept": "text/html"})
    assert page.status_code == 400
    assert "contains a NUL character." in page.content.decode()
    assert page.content.decode().lower().startswith("<!doctype html>")


def test_a_nul_in_a_form_is_a_400(admin_client: Client, client: Client) -> None:
    for path in ("/login/", "/admin/exports/supplier/add/", "/requests/new/"):
        for form in ({"name": "a\0b"}, {"a\0": "b"}):
            answer = admin_client.post(path, form)
            assert answer.status_code == 400, path
            assert answer.json() == {"error": "The form contains a NUL character."}


def test_a_nul_in_a_cookie_is_a_400(client: Client) -> None:
    for path in ("/requests/", "/files/00000000-0000-0000-0000-000000000000/x"):
        answer = client.get(path, headers={"Cookie": 'sessionid="\\000aaaaaaaa"'})
        assert answer.json() == {"error": "The Cookie header contains a NUL character."}


@pytest.mark.parametrize(
    "value", [*POISON, "x" * 150, "ä" * 150, "\ud800"], ids=lambda value: value[:20]
)
def test_a_login_with_strange_values_is_no_5xx(value: str) -> None:
    text = value.encode("utf-8", "surrogatepass")
    body = "&".join(f"{name}={quote(text)}" for name in ("username", "password", "next"))
    answer = Client(raise_request_exception=False).generic(
        "POST",
        f"/login/?next={quote(text)}",
        body.encode(),
        "application/x-www-form-urlencoded",
        # WSGI decodes the bytes of headers so.
        headers=dict.fromkeys(("User-Agent", "Referer", "Accept"), text.decode("latin-1")),
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("name", ["x" * 151, "x" * 3_000, "\ufdfa" * 150])
def test_a_login_with_a_name_that_no_user_can_have_is_not_recorded(
    client: Client, name: str
) -> None:
    """The last one has 2,700 characters in its normal form. PostgreSQL has no space for it in the record."""
    answer = client.post("/login/", {"username": name, "password": "x"})
    assert "Please enter a correct user name and password." in answer.content.decode()
    assert not AccessAttempt.objects.exists()
    assert User._meta.get_field("username").max_length == MAX_USERNAME_LENGTH


MULTIPART = "multipart/form-data; boundary=x"


def field(name: str, value: str, more: str = "") -> str:
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'


@pytest.mark.parametrize(
    ("content_type", "body", "statuses"),
    [
        (MULTIPART, "", {200}),
        (MULTIPART, "--y\r\n", {200, 400}),
        (MULTIPART, field("a", "b") * 1001 + "--x--\r\n", {400}),
        (MULTIPART, field("f", "b", '; filename="f"') * 101 + "--x--\r\n", {400}),
        (MULTIPART, field("username", "b", "; filename*=bogus''%41") + "--x--\r\n", {200}),
        (MULTIPART, "--x\r\nContent-Transfer-Encoding: base64\r\n" + field("a", "%")[5:] + "--x--\r\n", {200, 400}),
        (MULTIPART, field("password", "b" * 2_200_000) + "--x--\r\n", {413}),
        ("multipart/form-data", "--x--", {400}),
        ("multipart/form-data; boundary=" + "x" * 300, "--x--", {400}),
        ("application/x-www-form-urlencoded", "a=b&" * 1001, {400}),
        ("application/x-www-form-urlencoded", "username=" + "b" * 2_200_000, {413}),
        ("application/x-www-form-urlencoded", "username=%ff%00", {400}),
        ("application/json", "[" * 100_000, {200}),
    ],
)  # fmt: skip
def test_a_broken_form_is_refused(
    client: Client, content_type: str, body: str, statuses: set[int]
) -> None:
    answer = client.generic("POST", "/login/", body.encode(), content_type)
    assert answer.status_code in statuses
    if answer.status_code >= 400:
        assert answer.json()["error"].endswith(".")


BODIES: list[tuple[str, int]] = [
    ("[" * 60_000, 400),
    ('{"a":' * 12_000, 400),
    ('{"start_date": NaN, "end_date": Infinity}', 400),
    ('{"start_date": 1e999, "end_date": "2023-02-28"}', 400),
    ('{"start_date": ' + "9" * 5_000 + ', "end_date": "2023-02-28"}', 400),
    ('{"start_date": "2023-02-27", "start_date": "2023-02-27", "end_date": "2023-02-28"}', 400),
    ('{"start_date": "\\ud800", "end_date": "\\u0000"}', 400),
    ('{"\\ud800": "\\udfff"}', 400),
    ('{"start_date": "2023-02-27", "end_date": "2023-02-28", "format": "\\ud800"}', 400),
    ('{"start_date": "2023-02-27", "end_date": "2023-02-28", "device_id": "\\ud800"}', 400),
    ('{"start_date": "2023-02-27", "end_date": "2023-02-28", "device_id": ["\\u0000"]}', 400),
    ('{"start_date": "2023-02-27", "end_date": "2023-02-28", "page_size": 1e400}', 400),
    ('{"start_date": "2023-02-27", "end_date": "2023-02-28", "offset": [{}]}', 400),
    ('{"start_date": "0001-01-01T00:00:00+23:59", "end_date": "9999-12-31T23:59:59-23:59"}', 400),
    ('{"start_date": {"$gt": ""}, "end_date": true, "as_of": null}', 400),
    ("\ud800", 400),
    ("null", 400),
    ("", 400),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status"), BODIES, ids=lambda value: str(value)[:30])
def test_a_wrong_body_is_a_400_of_the_api(body: str, status: int) -> None:
    client = Client(headers={"X-API-Key": create_api_key(Supplier.objects.create(name="alice"))})
    for path in ("/readings/file", "/readings/query"):
        answer = client.generic("POST", path, body.encode("utf-8", "surrogatepass"))
        assert answer.status_code == status, path
        assert answer.json()["error"].endswith("."), path


QUERIES: list[dict[str, Any]] = [
    {"start_date": "0001-01-01"}, {"start_date": "9999-12-31T23:59:59-23:59"}, {"start_date": "x" * 5_000},
    {"start_date": "2023-02-27", "offset": "9" * 400}, {"start_date": "2023-02-27", "page_size": "1e9"},
    {"start_date": "2023-02-27", "after": "0001-01-01T00:00:00+23:59,x"}, {"start_date": ["2023-02-27"] * 2},
    {"start_date": "2023-02-27", "after": "9999-12-31,\0"}, {"start_date": "2023-02-27", "device_id": "\0"},
    {"\0": "\0"}, {f"p{n}": "" for n in range(1001)}, {"request_id": "9" * 400}, {"page": "9" * 400}, {"page": "\u0660"},
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES, ids=lambda value: str(value)[:40])
def test_a_wrong_query_is_a_4xx_of_the_api(query: dict[str, Any]) -> None:
    client = api_client(Supplier.objects.create(name="alice"))
    for path in ("/readings", "/readings/file", "/readings/files", "/nothing"):
        answer = client.get(path, query)
        assert 400 <= answer.status_code < 500, path
        assert answer.json()["error"].endswith("."), path
    assert client.delete(f"/readings/file?{next(iter(query))}=%00").status_code == 400


@pytest.mark.parametrize("port", ["0", "-1", "65536", "99999", "9" * 30, "x", ""])
def test_a_port_that_does_not_exist_is_an_error_of_the_form(
    admin_user: User, admin_client: Client, port: str
) -> None:
    supplier = Supplier.objects.create(name="alice")
    for path, form in (
        ("/admin/exports/webhook/add/", {"supplier": supplier.pk, "url": f"https://hook.example:{port or 'x'}/"}),
        ("/admin/exports/pushtarget/add/", {"supplier": supplier.pk, "host": "h.example", "port": port}),
    ):  # fmt: skip
        answer = admin_client.post(path, form)
        assert answer.status_code == 200, path
        assert 'class="errorlist"' in answer.content.decode(), path
