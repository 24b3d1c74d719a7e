"""A digest of the code that a step runs, which goes into what TFX caches on."""

import hashlib
import importlib.util
from functools import cache
from pathlib import Path

from hubline.core.package_versions import version
from hubline.core.source_imports import imports

PACKAGE = "hubline"
"""The package whose modules count as code."""

STACK = (
    "tfx",
    "tfx-bsl",
    "tensorflow",
    "tf-keras",
    "tensorflow-hub",
    "tensorflow-transform",
    "tensorflow-data-validation",
    "tensorflow-model-analysis",
    "apache-beam",
)
"""The distributions whose versions count as code."""


def code_digest(module: str) -> str:
    """The SHA-256 of the sources of a module and of all of ours that it imports, and of the versions of the stack.

    Args:
        module: What a step runs, such as `hubline.components.pusher.executor`.
    """
    digest = hashlib.sha256(_stack().encode())
    for name, source in sorted(_closure(module).items()):
        digest.update(f"{name}\0{hashlib.sha256(source.read_bytes()).hexdigest()}\0".encode())
    return digest.hexdigest()


@cache
def _stack() -> str:
    return " ".join(f"{name}=={version(name)}" for name in STACK)


@cache
def _closure(module: str) -> dict[str, Path]:
    """The source file of a module, and of each module of ours that it imports, directly or not."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        source = None if name in found else _source(name)
        if source:
            found[name] = source
            waiting += [imported for imported in imports(source, name) if imported.partition(".")[0] == PACKAGE]
    if module not in found:
        raise ModuleNotFoundError(f"no module '{module}' to take a digest of")
    return found


def _source(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # a function or class of a module, named like a module of a package
        return None
    return Path(spec.origin) if spec and spec.origin else None
