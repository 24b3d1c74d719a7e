"""What Python source imports, read without running it."""

import ast
from collections.abc import Iterator
from pathlib import Path

from hubline.core.errors import UserError


def imports(source: Path, module: str) -> Iterator[str]:
    """The modules that a source file names in its imports, inside functions too, and the packages they are in.

    Args:
        source: The file.
        module: Its name as a module, from which relative imports count.
    """
    package = module if source.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)] if base else []
        for name in names:
            yield from with_packages(name)


def _base(node: ast.ImportFrom, package: str) -> str:
    """The module that names are imported from; empty where there is none so far up."""
    if not node.level:
        return node.module or ""
    above = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def with_packages(name: str) -> Iterator[str]:
    """A module's name, after those of the packages that it is in."""
    parts = name.split(".")
    yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def parse(source: Path) -> ast.Module:
    """The syntax tree of a source file.

    Raises:
        UserError: where the file is not Python.
    """
    try:
        return ast.parse(source.read_bytes())
    except (SyntaxError, ValueError) as error:  # ValueError where there are null bytes
        line = getattr(error, "lineno", None)
        raise UserError(f"{source}{f':{line}' if line else ''}: not Python: {getattr(error, 'msg', error)}") from None
