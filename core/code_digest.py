"""Digest of the code that a step runs; part of the step's cache key."""

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hubline.core.bytecode_digest import bytecode_digest
from hubline.core.kept_digests import kept_by, key_of
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
"""Distributions whose versions count as code."""


PLUMBING = frozenset(
    f"hubline.core.{name}"
    for name in (
        "config_base",
        "config_errors",
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
"""Modules that read settings, move files and report to the user; they don't affect the content of a shard."""


_READERS = tuple(
    str(Path(__file__).with_name(f"{name}.py")) for name in ("bytecode_digest", "source_imports", "code_digest")
)
"""What `_Module` depends on besides a source."""


def code_digest(module: str) -> str:
    """SHA-256 of a module's bytecode, that of all our modules that it imports, and the versions of the stack.

    Imports for type checkers only are ignored.

    Args:
        module: Such as `hubline.components.pusher.executor`.
    """
    return _digest(module_digests(module, frozenset()), STACK)


def content_digest(module: str, *stack: str) -> str:
    """Digest of the code that computes what is cached for each shard, so that cached shards survive other changes.

    Args:
        module: The module that computes a shard; imports of `PLUMBING` are ignored.
        stack: Distributions that take part in the computation, such as `tensorflow`.
    """
    return _digest(module_digests(module, PLUMBING), stack)


def forget() -> None:
    """Clears the caches of sources and versions, which are otherwise read once per process, as Python itself does."""
    _module.cache_clear()
    kept_by.cache_clear()
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
    """Digest and imports of one of our modules."""

    bytecode: str
    imports: tuple[str, ...]
    """Names that it imports from our package: modules and their members."""


def module_digests(module: str, without: frozenset[str]) -> dict[str, str]:
    """Bytecode digests of a module and of all our modules that it imports, directly or indirectly, by name."""
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        known = None if name in found or name in without else _module(name)
        if known:
            found[name] = known.bytecode
            waiting += known.imports
    kept_by(_READERS).save()
    if module not in found:
        raise ModuleNotFoundError(f"no module '{module}' to take a digest of")
    return found


@cache
def _module(name: str) -> _Module | None:
    """Reads a module; None if the name is that of a function or class."""
    source = _source(name)
    if source is None:
        return None
    kept, key = kept_by(_READERS), key_of(source.read_bytes(), name, source.name, PACKAGE)
    match kept.get(key):
        case [str(digest), [*imported]]:
            return _Module(digest, tuple(imported))
    tree = parse(source)
    ours = tuple(dict.fromkeys(each for each in imports(tree, source, name) if each.partition(".")[0] == PACKAGE))
    read = _Module(bytecode_digest(tree), ours)
    kept.add(key, [read.bytecode, read.imports])
    return read


def _source(module: str) -> Path | None:
    """Source file of a module, located without importing its package."""
    package, *parts = module.split(".")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    place = Path(spec.origin).parent.joinpath(*parts)
    return next((path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()), None)
