"""Folders in environment variables and URLs: every name works, or is refused in one sentence."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from urllib.parse import quote

import pytest
from django.core.exceptions import ImproperlyConfigured

from headend.config import environment as env
from headend.config import service_urls


@pytest.mark.parametrize("name", ["a b", "a#b", "a?b", "50%", "%20", "[1]*{2}", "größe 電力"])
def test_a_folder_of_any_name_is_the_same_in_a_url(name: str) -> None:
    path = Path("/data") / name
    assert env.folder_of("EXPORTS_URL", f"file://{env.quoted(path)}") == path


def test_only_three_characters_must_be_encoded_in_a_url() -> None:
    assert env.folder_of("EXPORTS_URL", "file:///a b/[1]/größe") == Path("/a b/[1]/größe")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("file:///a#b", "write the character # of a folder's name as %23"),
        ("file:///a#", "write the character # of a folder's name as %23"),
        ("file:///a?b", "write the character ? of a folder's name as %3F"),
        ("file:///50%", "write the character % of a folder's name as %25"),
        ("file:///a\tb", "a control character"),
        ("file:///a%00b", "a control character"),
        ("file:///a\udce4", "must be text in UTF-8"),
        ("file://a/b", "three slashes"),
    ],
)
def test_other_urls_of_a_folder_are_refused(url: str, message: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="EXPORTS_URL is") as error:
        env.folder_of("EXPORTS_URL", url)
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["a\nb", "a\udce4b"])
def test_a_folder_that_is_no_text_in_utf_8_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HEADEND_HOME", f"/{name}")
    with pytest.raises(ImproperlyConfigured, match="HEADEND_HOME is"):
        env.folder("HEADEND_HOME", Path("/default"))


def test_a_url_is_not_a_path_of_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADEND_HOME", "file:///srv/headend")
    message = "HEADEND_HOME is 'file:///srv/headend'; write the path of a folder, not a URL."
    with pytest.raises(ImproperlyConfigured, match=message):
        env.folder("HEADEND_HOME", Path("/default"))


@pytest.mark.parametrize("name", ["a[1]", "a]", "a^b", "a|b", "a\\b", "%41"])
def test_a_folder_in_which_no_delta_table_can_be_is_refused(name: str) -> None:
    url = f"delta:///{quote(name)}/readings"
    with pytest.raises(ImproperlyConfigured, match="READINGS_URL: a Delta table cannot be in"):
        service_urls.folders(Path("/home"), {"READINGS_URL": url})


def test_the_database_file_can_be_in_a_folder_of_any_name() -> None:
    name = "/a b#c?d%20/headend.sqlite3"
    assert service_urls.database(f"sqlite:///{env.quoted(Path(name))}")["NAME"] == name


def test_a_database_url_that_would_be_cut_off_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL: write the character # as %23"):
        service_urls.database("sqlite:////data#1/headend.sqlite3")


def test_addresses_and_networks_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert env.networks("HEADEND_TRUSTED_PROXIES", ["::1"]) == [ip_network("::1/128")]
    monkeypatch.setenv("HEADEND_TRUSTED_PROXIES", "10.0.0.7, 10.1.0.0/16,fd00::/8")
    assert [str(each) for each in env.networks("HEADEND_TRUSTED_PROXIES", [])] == [
        "10.0.0.7/32",
        "10.1.0.0/16",
        "fd00::/8",
    ]


@pytest.mark.parametrize("value", ["proxy.example", "10.0.0.7/8", "10.0.0.7:80", "10.0.0.0/33"])
def test_other_text_is_no_network(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HEADEND_TRUSTED_PROXIES", f"10.0.0.1,{value}")
    with pytest.raises(ImproperlyConfigured, match=f"HEADEND_TRUSTED_PROXIES contains '{value}'"):
        env.networks("HEADEND_TRUSTED_PROXIES", [])


def test_the_value_of_a_setting_can_be_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_text("postgresql://u:p@db/headend\n")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("DATABASE_URL_FILE", str(file))
    assert env.url("DATABASE_URL", "", ["postgresql"]) == "postgresql://u:p@db/headend"
    file.write_text("\n")
    assert env.text("DATABASE_URL", "default") == "default"
    monkeypatch.setenv("DATABASE_URL", "sqlite://")
    with pytest.raises(
        ImproperlyConfigured, match="DATABASE_URL and DATABASE_URL_FILE are both set"
    ):
        env.text("DATABASE_URL", "")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("{folder}/missing", "METRICS_TOKEN_FILE: .*/missing: No such file or directory."),
        ("{folder}", "METRICS_TOKEN_FILE: .*: Is a directory."),
        ("{folder}/latin", "METRICS_TOKEN_FILE: .*/latin is not text in UTF-8."),
        ("token", "METRICS_TOKEN_FILE is 'token'; it must be an absolute path."),
    ],
)
def test_a_file_without_a_value_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, message: str
) -> None:
    (tmp_path / "latin").write_bytes(b"\xe4")
    monkeypatch.setenv("METRICS_TOKEN_FILE", file.format(folder=tmp_path))
    with pytest.raises(ImproperlyConfigured, match=message):
        env.text("METRICS_TOKEN", "")
