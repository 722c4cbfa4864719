"""``manage.py run``: set up the deployment and run all its processes in the foreground."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connections

from headend.config.addresses import reachable_host
from headend.config.checks import TAG
from headend.config.folders import create_folders
from headend.config.program import PROGRAM
from headend.config.project_command import ProjectCommand
from headend.deployment import procfile, programs
from headend.deployment.exclusive_use import check_port, lock_home
from headend.deployment.supervision import supervisor
from headend.deployment.supervision.announcement import Announcement, announce
from headend.deployment.supervision.child import END_SIGNALS, fork_child
from headend.deployment.supervision.guard import KILL_AFTER_SECONDS

_DONE = b"1"


class Command(ProjectCommand):
    """Runs ``setup``, then the processes of the Procfile until Ctrl-C."""

    help = (
        "Run portal, API, workers, beat and SFTP server in the foreground; Ctrl-C ends them all. "
        "The first run creates everything they need in HEADEND_HOME; later runs use it again. "
        f"Example: HEADEND_PORT=8100 SFTP_PORT=2300 HEADEND_HOME=./second {PROGRAM} run"
    )
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Set up in a child process, and import what the other processes share. Then start and supervise these."""
        check_port("HEADEND_PORT", settings.HEADEND_PORT)
        check_port("SFTP_PORT", settings.SFTP_PORT)
        create_folders(settings.FOLDERS)
        lock = lock_home(settings.HEADEND_HOME)
        connections.close_all()
        reading, writing = os.pipe()
        supervisor_id = os.getpid()
        child = fork_child()
        if child == 0:
            os.close(reading)
            self._set_up_and_announce(writing, supervisor_id)
            return
        os.close(writing)
        _wait_for_set_up(child, reading)
        # The lines to print may contain characters that the encoding of the output does not have.
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        procfile.enter_project_folder()
        # The supervisor kills the processes soon after Ctrl-C. They end longer work before that, and record it.
        os.environ["HEADEND_DRAIN_SECONDS"] = str(int(KILL_AFTER_SECONDS) - 1)
        outcome = supervisor.run(
            procfile.commands(),
            program=programs.program_for,
            announcer=child,
            own_descriptors=[lock],
        )
        if callable(outcome):
            # This process is a forked one.
            outcome()
        else:
            sys.exit(outcome)

    def _set_up_and_announce(self, done: int, supervisor_id: int) -> None:
        """Create what is missing, write a byte to ``done``, and print the addresses when the servers answer."""
        # These import Polars, which no process may do before it forks.
        from headend.deployment import outputs

        try:
            self.check(tags=[TAG])
            call_command("setup", stdout=self.stdout, stderr=self.stderr)
        except KeyboardInterrupt:
            self.stderr.write("Interrupted during setup; the next run continues it.")
            sys.exit(130)
        try:
            os.write(done, _DONE)
        except BrokenPipeError:
            # The supervisor was killed.
            return
        os.close(done)
        announce(
            Announcement(
                outputs.collect().as_text(),
                reachable_host(settings.HEADEND_HOST),
                settings.HEADEND_PORT,
                settings.SFTP_PORT,
            ),
            supervisor_id,
        )


def _wait_for_set_up(child: int, done: int) -> None:
    """Import libraries until the child has set up. If it fails, end this process with its exit code.

    Signals are passed on to the child. If the set-up succeeds, they are sent to this process again, so that the
    supervisor receives them.
    """
    received: list[int] = []

    def pass_on(number: int, _: object) -> None:
        received.append(number)
        os.kill(child, number)

    for each in END_SIGNALS:
        signal.signal(each, pass_on)
    programs.preload()
    succeeded = os.read(done, 1) == _DONE
    signal.pthread_sigmask(signal.SIG_BLOCK, END_SIGNALS)
    os.close(done)
    if not succeeded:
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        sys.exit(code if code >= 0 else 128 - code)
    for number in received:
        os.kill(os.getpid(), number)
