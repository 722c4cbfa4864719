"""slipcover does not rewrite code that it has seen. Rewriting takes more time than it saves in the tests.

pytest loads this module with ``-p``, before slipcover's own plugin. That plugin measures the processes of pytest-xdist,
and does not get slipcover's option ``--threshold``.
"""

from __future__ import annotations

import os
from functools import partial

_NEVER = 1_000_000_000
"""More executions of a line than any test reaches. After so many, slipcover would rewrite the code."""

if "SLIPCOVER_ENABLED" in os.environ:
    import slipcover

    vars(slipcover)["Slipcover"] = partial(slipcover.Slipcover, d_miss_threshold=_NEVER)
