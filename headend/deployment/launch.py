"""How ``manage.py run`` becomes the supervisor of the deployment's processes."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

from headend.deployment.supervision import supervisor
from headend.deployment.supervision.announcement import Announcement


def replace_process(procfile: Path, announcement: Announcement) -> None:
    """Replace the current process with a supervisor of ``procfile``; does not return.

    The process id and open inheritable files stay. A signal that arrives before the supervisor is ready
    is delivered then.
    """
    # Not an argument or a variable: other users could read the secrets in the text with ps.
    text = tempfile.TemporaryFile()  # noqa: SIM115 (the new program reads and closes it)
    text.write(announcement.text.encode())
    text.seek(0)
    os.set_inheritable(text.fileno(), True)  # noqa: FBT003 (the function's own interface)
    signal.pthread_sigmask(signal.SIG_BLOCK, supervisor.END_SIGNALS)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(  # noqa: S606 (no shell is what is wanted)
        sys.executable,
        [
            sys.executable,
            # This folder must not come first on the module path.
            "-P",
            str(Path(supervisor.__file__).with_name("__main__.py")),
            str(procfile),
            f"--announcement={text.fileno()}",
            f"--host={announcement.host}",
            f"--http-port={announcement.http_port}",
            f"--sftp-port={announcement.sftp_port}",
        ],
    )
