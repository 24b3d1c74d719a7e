"""Versions of installed packages."""

import importlib.metadata
import shlex
import sys
from importlib.util import find_spec


def version(distribution: str) -> str:
    """Version of an installed distribution. For `tensorflow`, `tensorflow-cpu` will do too, as in container images.

    Raises:
        importlib.metadata.PackageNotFoundError: if it is not installed.
    """
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        if distribution != "tensorflow":
            raise
        return importlib.metadata.version("tensorflow-cpu")


def install_command(requirement: str) -> str:
    """The command that installs a package alongside this one: with pip, or with the uv that `make setup` provides."""
    python = shlex.quote(sys.executable)
    installer = f"{python} -m pip install" if find_spec("pip") else f".uv/bin/uv pip install --python {python}"
    return f"{installer} {shlex.quote(requirement)}"
