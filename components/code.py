"""A digest of the code that a step runs, which goes into what TFX caches on."""

import hashlib
import importlib.metadata
import importlib.util
from functools import cache
from pathlib import Path

STACK = ("tfx", "tensorflow", "tf-keras", "tensorflow-hub", "tensorflow-transform", "apache-beam")
"""The distributions whose versions count as code."""


def code_digest(*packages: str) -> str:
    """The SHA-256 of the sources of some packages or modules, and of the versions of the stack.

    Args:
        *packages: Importable names, such as `trainer` or `components.pusher`; a package counts with all below it.
    """
    digest = hashlib.sha256(_stack().encode())
    for package in packages:
        for name, source in _sources(package):
            digest.update(f"{name}\0{hashlib.sha256(source.read_bytes()).hexdigest()}\0".encode())
    return digest.hexdigest()


@cache
def _stack() -> str:
    return " ".join(f"{name}=={importlib.metadata.version(name)}" for name in STACK)


def _sources(package: str) -> list[tuple[str, Path]]:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no package '{package}' to take a digest of")
    origin = Path(spec.origin)
    if spec.submodule_search_locations is None:
        return [(package, origin)]
    return [(f"{package}/{path.relative_to(origin.parent)}", path) for path in sorted(origin.parent.rglob("*.py"))]
