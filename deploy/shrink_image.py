"""Delete what the processes never use from an environment, and compile the rest: ``shrink_image.py /opt/headend``.

The image is a third smaller without it. Static files must be collected before, because their sources are deleted.
"""

from __future__ import annotations

import compileall
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

OWN_PACKAGES = {"headend", "readings", "exports"}
"""They keep their source code, so tracebacks show its lines."""
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
LANGUAGES = {"en", "__init__.py"}
LEXERS = {"__init__.py", "_mapping.py", "python.py"}
"""Celery and Rich import the lexer of Python. Pygments imports each of the others when it is first used."""
UNUSED = (
    "*.dist-info/sboms",
    "django/contrib/gis",
    "django/contrib/admin/static",
    "rest_framework/static",
    "django_htmx/static",
    "drf_spectacular_sidecar/static",
    "numpy/_core/include",
    "numpy/f2py",
    "**/*.pyi",
)
"""Static files were collected; the others are for developers. The pattern ``**`` is any folder."""


def main(environment: Path) -> None:
    """Delete unused files and symbols, then compile the modules and delete the source code of other projects."""
    [packages] = environment.glob("lib/python3.*/site-packages")
    static = environment / "static"
    for path in [*unused(packages), *static.rglob("*.map"), *static.rglob("*.map.gz")]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    libraries = list(strippable(packages))
    subprocess.run(["strip", "--strip-unneeded", *libraries], check=True)
    compile_modules(packages)


def unused(packages: Path) -> Iterator[Path]:
    """Yield the files and folders that no process reads."""
    for pattern in UNUSED:
        yield from packages.glob(pattern)
    for path in packages.rglob("tests"):
        if path.is_dir() and "django" not in path.parts:
            yield path
    for path in packages.glob("django/**/locale/*"):
        if path.name not in LANGUAGES:
            yield path
    for path in packages.glob("botocore/data/*"):
        if path.is_dir() and path.name not in AWS_SERVICES:
            yield path
    for path in packages.glob("pygments/lexers/*.py"):
        if path.name not in LEXERS:
            yield path


def strippable(packages: Path) -> Iterator[Path]:
    """Yield the libraries that can have symbols for debuggers.

    Packages with a folder NAME.libs have a patched header, which ``strip`` damages.
    """
    for library in packages.rglob("*.so"):
        package = library.relative_to(packages).parts[0]
        if not package.endswith(".libs") and not (packages / f"{package}.libs").exists():
            yield library


def compile_modules(packages: Path) -> None:
    """Compile every module. Of other projects' modules, only the bytecode is kept, in the folder of the source."""
    own = re.compile(rf"{re.escape(str(packages))}/({'|'.join(OWN_PACKAGES)})/")
    compileall.compile_dir(packages, quiet=1, workers=0, legacy=True, rx=own)
    for name in OWN_PACKAGES:
        compileall.compile_dir(packages / name, quiet=1, workers=0)
    for source in packages.rglob("*.py"):
        if source.with_suffix(".pyc").exists():
            source.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
