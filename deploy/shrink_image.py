"""Delete what the processes never use from an environment: ``shrink_image.py /opt/headend``.

The image is a quarter smaller without it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

AWS_SERVICES = {
    "s3",
    "sqs",
    "secretsmanager",
    "sts",
    "sso",
    "sso-oidc",
    "signin",
    "timestream-write",
    "timestream-query",
}
"""What boto3 calls here, and what it calls to find credentials."""
STRIPPED = ("_polars_runtime_32", "zstandard")
"""The packages with many symbols for debuggers. Others, such as numpy, have libraries that `strip` damages."""
LANGUAGES = {"en", "__pycache__"}


def main(environment: Path) -> None:
    """Delete tests, translations, descriptions of other AWS services, and symbols of libraries."""
    [packages] = environment.glob("lib/python3.*/site-packages")
    unused = [
        *(path for path in packages.rglob("tests") if path.is_dir() and "django" not in path.parts),
        *(
            path
            for path in packages.glob("django/**/locale/*/LC_MESSAGES")
            if path.parent.name not in LANGUAGES
        ),
        *(
            path
            for path in packages.glob("botocore/data/*")
            if path.is_dir() and path.name not in AWS_SERVICES
        ),
    ]
    for path in unused:
        shutil.rmtree(path, ignore_errors=True)
    libraries = [path for name in STRIPPED for path in packages.glob(f"{name}/*.so")]
    subprocess.run(["strip", "--strip-unneeded", *libraries], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
