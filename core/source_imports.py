"""Imports of Python source files, read without running them."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hubline.core.errors import UserError

_BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")
"""Fields of statements that contain other statements."""


def imports(tree: ast.Module, source: Path, module: str) -> Iterator[str]:
    """Modules that a source file imports when it runs, including in functions, and their packages.

    Args:
        tree: The file's syntax tree.
        source: The file.
        module: Its module name, which relative imports are resolved against.
    """
    package = module if source.name == "__init__.py" else module.rpartition(".")[0]
    for node in _statements(tree.body):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)] if base else []
        for name in names:
            yield from with_packages(name)


def _statements(body: list[Any]) -> Iterator[ast.AST]:
    """All statements that run, including nested ones, but without those for type checkers only."""
    for node in body:
        yield node
        is_for_types = isinstance(node, ast.If) and ast.unparse(node.test).rpartition(".")[2] == "TYPE_CHECKING"
        for blocks in ("orelse",) if is_for_types else _BLOCKS:
            yield from _statements(getattr(node, blocks, []))


def _base(node: ast.ImportFrom, package: str) -> str:
    """The module that names are imported from; empty if the relative import goes beyond the top."""
    if not node.level:
        return node.module or ""
    above = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def with_packages(name: str) -> Iterator[str]:
    """A module's name, preceded by those of its packages."""
    parts = name.split(".")
    yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def parse(source: Path) -> ast.Module:
    """The syntax tree of a source file.

    Raises:
        UserError: if the file is not valid Python.
    """
    try:
        return ast.parse(source.read_bytes())
    except (SyntaxError, ValueError) as error:  # ValueError for null bytes
        line = getattr(error, "lineno", None)
        raise UserError(f"{source}{f':{line}' if line else ''}: not Python: {getattr(error, 'msg', error)}") from None
