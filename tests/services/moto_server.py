"""moto's server, in which CreateSecret is atomic, as in AWS.

moto looks for the name and then stores the secret. Two simultaneous calls can both find no secret. Then both succeed,
and the second secret replaces the first.
"""

from __future__ import annotations

import threading
from typing import Any

from moto.secretsmanager.models import SecretsManagerBackend
from moto.server import main

_creating = threading.Lock()
_create_secret = SecretsManagerBackend.create_secret


def create_secret(self: SecretsManagerBackend, *args: Any, **options: Any) -> Any:
    """Create a secret while no other call does."""
    with _creating:
        return _create_secret(self, *args, **options)


if __name__ == "__main__":
    SecretsManagerBackend.create_secret = create_secret
    main()
