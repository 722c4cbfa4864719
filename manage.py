#!/usr/bin/env python
"""The management commands of the project: ``python manage.py help`` lists them."""

from __future__ import annotations

import errno
import os
import signal
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db.utils import OperationalError

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


def main() -> None:
    """Run a management command. A wrong setting, or a disk or database that cannot be used, ends it with one line."""
    print_every_character()
    restart_in_utf8_mode()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "headend.settings")
    try:
        execute_from_command_line(sys.argv)
    except KeyboardInterrupt as interrupt:
        sys.stderr.write("\nheadend: interrupted.\n")
        # A command that was asked to stop knows which signal asked.
        sys.exit(getattr(interrupt, "exit_code", 128 + signal.SIGINT))
    except ImproperlyConfigured as error:
        sys.exit(f"headend: {error}")
    except OperationalError as error:
        # The database cannot be reached, or its disk is full. The drivers add lines with hints.
        if "--traceback" in sys.argv:
            raise
        sys.exit(f"headend: DATABASE_URL: {str(error).splitlines()[0]}.")
    except OSError as error:
        if error.errno not in _DISK_ERRORS or "--traceback" in sys.argv:
            raise
        place = f"{error.filename}: " if error.filename else ""
        sys.exit(f"headend: {place}{error.strerror}.")


if __name__ == "__main__":
    main()
