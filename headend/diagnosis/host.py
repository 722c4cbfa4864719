"""Checks of this host: home folder, ports, disks, and versions."""

from __future__ import annotations

import shutil
import socket
import tempfile
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from platform import python_version

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from exports.templatetags.file_size import file_size
from headend import __version__
from headend.config.addresses import reachable_host, with_port
from headend.config.program import PROGRAM, SET_UP_HOST
from headend.deployment.exclusive_use import check_port, is_in_use
from headend.deployment.start_checks import NO_STATIC_FILES
from headend.deployment.static_files import static_files_are_collected
from headend.diagnosis.finding import Finding, failed, ok, reason, warning

PORTS_HINT = "Set HEADEND_HOST, HEADEND_PORT or SFTP_PORT to an address and ports of this host."
DISKS_HINT = "Mount the disk, or correct the settings of the folders."
FAILED_FREE_BYTES = 1_000_000_000
WARNING_FREE_BYTES = 5_000_000_000
ANSWER_SECONDS = 5.0
_SSH_BANNER = b"SSH-2.0-headend"
_PACKAGES = ("django", "celery", "polars", "deltalake")


def check_home() -> list[Finding]:
    """``setup`` has run on this host with this release."""
    if not settings.HEADEND_HOME.is_dir():
        return [failed(f"{settings.HEADEND_HOME} does not exist", SET_UP_HOST)]
    if not static_files_are_collected():
        # A host that runs workers only does not need them.
        return [warning(f"{NO_STATIC_FILES}, so no web process starts", SET_UP_HOST)]
    return [ok(f"{settings.HEADEND_HOME}, with the static files of this release")]


def check_ports() -> list[Finding]:
    """Each port is free, or a process of headend listens on it."""
    return [
        _port_finding("HEADEND_PORT", settings.HEADEND_PORT, _is_our_web_server),
        _port_finding("SFTP_PORT", settings.SFTP_PORT, _is_our_sftp_server),
    ]


def _port_finding(setting: str, port: int, is_ours: Callable[[int], bool]) -> Finding:
    address = with_port(settings.HEADEND_HOST, port)
    if is_ours(port):
        return ok(f"{setting}: headend answers at {address}")
    try:
        check_port(setting, port)
    except ImproperlyConfigured as error:
        text, _, hint = reason(error).partition("; ")
        return failed(text, f"{hint[:1].upper()}{hint[1:]}." if hint else PORTS_HINT)
    if is_in_use(settings.HEADEND_HOME):
        return warning(
            f"{setting}: `{PROGRAM} run` runs, but nothing answers at {address}",
            "Wait until it has started, or read its log.",
        )
    return ok(f"{setting}: {address} is free")


def _is_our_web_server(port: int) -> bool:
    url = f"http://{with_port(reachable_host(settings.HEADEND_HOST), port)}/health/live"
    with (
        suppress(OSError, ValueError),
        urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as answer,
    ):
        return bool(answer.read(100) == b'{"status": "ok"}')
    return False


def _is_our_sftp_server(port: int) -> bool:
    address = (reachable_host(settings.HEADEND_HOST), port)
    with suppress(OSError), socket.create_connection(address, ANSWER_SECONDS) as connection:
        return connection.recv(len(_SSH_BANNER)) == _SSH_BANNER
    return False


def check_disks() -> list[Finding]:
    """The disk of each folder of the deployment, and of temporary files, has free space."""
    places = [(folder.setting, folder.path) for folder in settings.FOLDERS]
    places.append(("TMPDIR", Path(tempfile.gettempdir())))
    by_disk: dict[int, tuple[Path, set[str]]] = {}
    for setting, path in places:
        if path.exists():
            by_disk.setdefault(path.stat().st_dev, (path, set()))[1].add(setting)
    return [_disk_finding(path, sorted(names)) for path, names in by_disk.values()]


def _disk_finding(path: Path, names: list[str]) -> Finding:
    free = shutil.disk_usage(path).free
    text = f"{_text(free)} free on the disk of {path} ({', '.join(names)})"
    hint = "Make space, or set READINGS_RETENTION_DAYS and EXPORTS_RETENTION_DAYS to fewer days."
    if free < FAILED_FREE_BYTES:
        return failed(f"{text}, less than {_text(FAILED_FREE_BYTES)}", hint)
    if free < WARNING_FREE_BYTES:
        return warning(f"{text}, less than {_text(WARNING_FREE_BYTES)}", hint)
    return ok(text)


def _text(size: int) -> str:
    return file_size(size).replace("\xa0", " ")


def check_versions() -> list[Finding]:
    """Name the versions of headend, Python, and the libraries that store data."""
    libraries = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return [ok(f"headend {__version__}, Python {python_version()}, {libraries}")]
