"""A digest of the code that a step runs, which is part of the step's cache key."""

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hubline.core.bytecode_digest import bytecode_digest
from hubline.core.package_versions import version
from hubline.core.source_imports import imports, parse

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


PLUMBING = frozenset(
    f"hubline.core.{name}"
    for name in (
        "config_base",
        "errors",
        "interruption",
        "lazy_import",
        "memory",
        "package_versions",
        "progress",
        "seal",
        "shard_cache",
        "source_imports",
        "storage",
    )
)
"""Modules that read settings, move files and report to people: none of them changes the content of a shard."""


def code_digest(module: str) -> str:
    """The SHA-256 of a module's bytecode, that of each of our modules that it imports, and the versions of the stack.

    Imports that only a type checker sees don't count.

    Args:
        module: Such as `hubline.components.pusher.executor`.
    """
    return _digest(module_digests(module, frozenset()), STACK)


def content_digest(module: str, *stack: str) -> str:
    """The digest of the code that computes what is kept for each shard, so that kept shards outlive other changes.

    Args:
        module: The module that computes a shard; imports of `PLUMBING` are left out.
        stack: The distributions that compute, such as `tensorflow`.
    """
    return _digest(module_digests(module, PLUMBING), stack)


def forget() -> None:
    """Has sources and versions read again; without, each is read once in a process, as Python itself does."""
    _module.cache_clear()
    _versions.cache_clear()


def _digest(modules: dict[str, str], stack: tuple[str, ...]) -> str:
    digest = hashlib.sha256(_versions(stack).encode())
    for name, bytecode in sorted(modules.items()):
        digest.update(f"{name}\0{bytecode}\0".encode())
    return digest.hexdigest()


@cache
def _versions(stack: tuple[str, ...]) -> str:
    return " ".join(f"{name}=={version(name)}" for name in stack)


@dataclass(frozen=True)
class _Module:
    """What is known of one of our modules."""

    bytecode: str
    """Its digest."""
    imports: tuple[str, ...]
    """The names that it imports from our package, of modules and of what is in them."""


def module_digests(module: str, without: frozenset[str]) -> dict[str, str]:
    """The digest of a module's bytecode, and of each of our modules that it imports, directly or not; by name."""
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        known = None if name in found or name in without else _module(name)
        if known:
            found[name] = known.bytecode
            waiting += known.imports
    if module not in found:
        raise ModuleNotFoundError(f"no module '{module}' to take a digest of")
    return found


@cache
def _module(name: str) -> _Module | None:
    """What is known of a module; None where the name is that of a function or class."""
    source = _source(name)
    if source is None:
        return None
    tree = parse(source)
    ours = tuple(dict.fromkeys(each for each in imports(tree, source, name) if each.partition(".")[0] == PACKAGE))
    return _Module(bytecode_digest(tree), ours)


def _source(module: str) -> Path | None:
    """The file of a module, found without importing its package."""
    package, *parts = module.split(".")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    place = Path(spec.origin).parent.joinpath(*parts)
    return next((path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()), None)
