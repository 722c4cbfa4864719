"""The command line: ``python manage.py`` in the source tree, ``headend`` after the package was installed."""

from __future__ import annotations

import errno
import gc
import os
import select
import signal
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import ManagementUtility
from django.core.management.base import BaseCommand
from django.db.utils import DatabaseError, InterfaceError

from headend import __version__
from headend.config.database_errors import first_line, hint_of, is_database_outage
from headend.config.memory_arenas import limit_memory_arenas
from headend.config.open_files import raise_limit
from headend.config.private_files import create_private_files
from headend.config.text_encoding import print_every_character, restart_in_utf8_mode

_DISK_ERRORS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EIO,
}


_WITHOUT_SETTINGS = {"help", "check", "doctor"}
"""The commands that run although a setting is wrong: `check` and `doctor` list all errors."""


class _Commands(ManagementUtility):
    """Django's commands. A wrong setting ends a command with one line, without the errors that follow from it."""

    def execute(self) -> None:
        """Run the command. Raises ``BrokenPipeError`` if the program that reads its output has ended."""
        try:
            if self.argv[1:] in (["--version"], ["version"]):
                # Django would print its own version.
                sys.stdout.write(f"{__version__}\n")
            else:
                super().execute()
        finally:
            sys.stdout.flush()

    def fetch_command(self, subcommand: str) -> BaseCommand:
        """Return the command. Raises ``ImproperlyConfigured`` if a setting is wrong, unless only help is requested."""
        command = super().fetch_command(subcommand)
        if subcommand not in _WITHOUT_SETTINGS and not {"help", "-h", "--help"} & set(self.argv):
            from headend.config.checks import refuse_wrong_settings

            refuse_wrong_settings()
        # Modules stay until the process ends, so the garbage collector need not search the objects that exist now.
        gc.freeze()
        gc.enable()
        return command


def main() -> None:
    """Run a management command. A wrong setting, or a disk or database that cannot be used, ends it with one line."""
    print_every_character()
    restart_in_utf8_mode()
    raise_limit()
    limit_memory_arenas()
    create_private_files()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "headend.settings")
    try:
        _Commands(sys.argv).execute()
    except BrokenPipeError:
        if not _output_is_closed():
            raise
        # For example, `manage.py store status | head -1`. Other programs are ended by this signal.
        sys.exit(128 + signal.SIGPIPE)
    except KeyboardInterrupt as interrupt:
        sys.stderr.write("\nheadend: interrupted.\n")
        # StopRequested has the exit code of its signal.
        sys.exit(getattr(interrupt, "exit_code", 128 + signal.SIGINT))
    except ImproperlyConfigured as error:
        sys.exit(f"headend: {error}")
    except (DatabaseError, InterfaceError) as error:
        if not is_database_outage(error) or "--traceback" in sys.argv:
            raise
        message = first_line(error).rstrip(".")
        sys.exit(f"headend: DATABASE_URL: {message}. {hint_of(message)}")
    except OSError as error:
        if error.errno not in _DISK_ERRORS or "--traceback" in sys.argv:
            raise
        place = f"{error.filename}: " if error.filename else ""
        sys.exit(f"headend: {place}{error.strerror}.")


def _output_is_closed() -> bool:
    """Return whether the program that read standard output has ended. Then discard the rest of the output."""
    output = sys.stdout.fileno()
    state = select.poll()
    state.register(output, 0)
    if not state.poll(0):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return True


def run() -> None:
    """Run the command of this process, without garbage collection while modules are imported.

    Imports create many objects and no garbage. Garbage collection would take a fifth of a command's start.
    """
    gc.disable()
    main()
