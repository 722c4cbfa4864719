"""``python -m headend`` is the same as ``python manage.py``, in the source tree and after installation."""

import sys

from headend.command_line import run

# The help shows this name.
sys.argv[0] = "headend"
run()
