"""Run the container image without a container engine, and test it: ``make image-check``, as root on Linux.

``buildah mount`` makes the files of the image visible as a folder. ``unshare`` and ``chroot`` start each process of the
Procfile from it, as a container engine would: with its own process ids and mounts, a read-only root file system, a
folder in memory as /tmp, a shared volume as the home folder, and the user, the environment and the command of the image. So
each process has the process id 1. The network is that of this machine.

The check prints the size of the image, runs its health check, and the tests in ``tests/contract`` against these processes.
Finally it ends each process with SIGTERM. It fails if one of these steps fails.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from honcho.environ import parse_procfile

from tests.contract.conftest import _CREATE_OTHER_SUPPLIER
from tests.deploy.tools import ROOT
from tests.ports import unused_port

IMAGE = "localhost/headend:latest"
MAX_BYTES = 600e6
READY_SECONDS = 300
END_SECONDS = 35
USER = 10001
TESTS = ("access", "files", "readings", "sftp")
"""The files of ``tests/contract`` that call a running deployment. The others start deployments with other settings."""
_START = """
set -e
mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"
mount -o remount,bind,ro "$ROOT"
mount -t tmpfs -o mode=1777 tmpfs "$ROOT/tmp"
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
mount --bind /etc/hosts "$ROOT/etc/hosts"
mount --bind "$VOLUME" "$ROOT$DIRECTORY"
exec chroot --userspec="$USER_AND_GROUP" "$ROOT" /usr/bin/env -i "$@"
"""


@dataclass
class Container:
    """A process that was started from the image."""

    name: str
    unshare: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """The id of the container's first process on this machine."""
        unshare = self.unshare.pid
        children = Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split()
        return int(children[0])

    def stop(self) -> float:
        """Send SIGTERM, and return how many seconds the process takes to end. Fails if its exit code is not 0."""
        started = time.monotonic()
        os.kill(self.pid, signal.SIGTERM)
        code = self.unshare.wait(END_SECONDS)
        assert code == 0, f"{self.name} ended with {code}:\n{self.log.read_text()}"
        return time.monotonic() - started


class Image:
    """The configuration of the image, and its files.

    Args:
        root: The files of the image.
        volume: A folder that all its containers share as their home folder.
        settings: Environment variables of all containers.
    """

    def __init__(self, root: Path, volume: Path, settings: Mapping[str, str]) -> None:
        inspected = json.loads(_output("buildah", "inspect", "--type", "image", IMAGE))
        self._config: dict[str, Any] = inspected["Docker"]["config"]
        layers = json.loads(inspected["Manifest"])["layers"]
        self.layer_bytes = [int(layer["size"]) for layer in layers]
        self._root = root
        self._volume = volume
        self._settings = settings

    @contextmanager
    def start(self, *command: str) -> Iterator[Container]:
        """Start a container with this command. At the end it is killed if it still runs."""
        name = command[-1]
        log = self._volume.with_name(f"{name}.log")
        environment = {
            **os.environ,
            "ROOT": str(self._root),
            "VOLUME": str(self._volume),
            "DIRECTORY": self._config["WorkingDir"],
            "USER_AND_GROUP": self._config["User"],
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _START, "sh",
                 *self._words(), *self._config["Entrypoint"], *command],
                env=environment, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            yield Container(name, process, log)
        finally:
            process.kill()
            process.wait()

    def execute(self, container: Container, *command: str) -> str:
        """Run a command in a container that runs, like ``docker exec``, and return what it prints."""
        return _output(
            "nsenter", "--target", str(container.pid), "--mount", "--pid", "--root", "--wd",
            "--setuid", str(USER), "--setgid", str(USER),
            "/usr/bin/env", "-i", *self._words(), *command,
        )  # fmt: skip

    def check_health(self, container: Container) -> None:
        """Run the health check of the image until it succeeds."""
        kind, *command = self._config["Healthcheck"]["Test"]
        assert kind == "CMD"
        deadline = time.monotonic() + READY_SECONDS
        while (problem := self._problem(container, *command)) is not None:
            log = container.log.read_text()
            assert container.unshare.poll() is None, f"{container.name} ended:\n{log}"
            assert time.monotonic() < deadline, f"{container.name}: {problem}\n{log}"
            time.sleep(1)

    def _problem(self, container: Container, *command: str) -> str | None:
        try:
            self.execute(container, *command)
        except subprocess.CalledProcessError as error:
            return str(error.stderr)
        return None

    def _words(self) -> list[str]:
        return [
            *self._config["Env"],
            *(f"{name}={value}" for name, value in self._settings.items()),
        ]


def main() -> None:
    """Check the image ``headend:latest`` that ``make image`` has built with buildah."""
    if os.geteuid() != 0 or shutil.which("buildah") is None:
        sys.exit(
            "image-check: run it as root, and install buildah (Debian: apt-get install buildah)."
        )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headend-image-")))
        # pytest runs as root, the containers do not.
        folder.chmod(0o755)
        volume = folder / "state"
        volume.mkdir(mode=0o700)
        os.chown(volume, USER, USER)
        ports = {"HEADEND_PORT": str(unused_port()), "SFTP_PORT": str(unused_port())}
        image = Image(stack.enter_context(_files_of_the_image()), volume, ports)
        size = sum(image.layer_bytes)
        report(f"size: {size / 1e6:.0f} MB; layers: {image.layer_bytes}")
        assert size < MAX_BYTES
        containers = _started(image, stack)
        for container in containers:
            image.check_health(container)
            report(f"{container.name}: healthy")
        _check_rights(image, containers[0])
        _run_contract_tests(image, containers[0], volume, ports)
        for container in containers:
            report(f"{container.name}: ended by SIGTERM after {container.stop():.1f} s")
    report("The image passes.")


def report(sentence: str) -> None:
    """Print a result."""
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


def _started(image: Image, stack: ExitStack) -> list[Container]:
    """Set the deployment up in one container, then start a container for each process."""
    setup = stack.enter_context(image.start("setup"))
    code = setup.unshare.wait(READY_SECONDS)
    assert code == 0, setup.log.read_text()
    report(setup.log.read_text())
    containers = []
    for name in parse_procfile((ROOT / "Procfile").read_text()).processes:
        containers.append(stack.enter_context(image.start("process", name)))
    return containers


def _check_rights(image: Image, container: Container) -> None:
    """Fail unless the processes run as the image's user, with the id 1, and cannot write outside their volume."""
    status = Path(f"/proc/{container.pid}/status").read_text().splitlines()
    facts = {name: value.split() for name, _, value in (line.partition(":") for line in status)}
    assert facts["Uid"] == [str(USER)] * 4
    assert facts["NSpid"][-1] == "1"
    assert int(facts["CapEff"][0], 16) == 0
    shell = "touch /tmp/x /var/lib/headend/x && rm /var/lib/headend/x && ! touch /opt/headend/x"
    image.execute(container, "sh", "-c", shell)
    assert not (image.execute(container, "sh", "-c", "test -w / && echo writable || true"))
    report(f"user {USER}, process id 1, no capability, read-only root file system")


def _run_contract_tests(
    image: Image, web: Container, volume: Path, ports: Mapping[str, str]
) -> None:
    outputs = json.loads(image.execute(web, "headend", "outputs", "--json"))
    other_key = json.loads(
        image.execute(
            web, "headend", "shell", "--verbosity", "0", "--command", _CREATE_OTHER_SUPPLIER
        )
    )
    # The path within the container.
    home = Path("/var/lib/headend")
    private_key = volume / Path(outputs["PrivateKeyFile"]).relative_to(home)
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         *(f"tests/contract/test_{name}.py" for name in TESTS),
         "--headend-url", outputs["apiGatewayInvokeURL"],
         "--headend-key", outputs["ApiKey"],
         "--headend-other-key", other_key,
         "--headend-sftp", f"localhost:{ports['SFTP_PORT']}",
         "--headend-private-key", str(private_key)],
        cwd=ROOT, check=True,
    )  # fmt: skip


@contextmanager
def _files_of_the_image() -> Iterator[Path]:
    container = _output("buildah", "from", IMAGE).strip()
    try:
        yield Path(_output("buildah", "mount", container).strip())
    finally:
        subprocess.run(["buildah", "rm", container], check=True, stdout=subprocess.DEVNULL)


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
