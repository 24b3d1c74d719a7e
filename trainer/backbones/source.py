"""Where the source of a user's own function is, and what it imports; asked without importing any of it."""

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from preprocessing.errors import UserError

_OURS = ("pipeline", "components", "preprocessing", "trainer")


def sources(module: str, folder: str) -> dict[str, Path]:
    """The file of a module, and of each that it imports, directly or not, by the modules' names.

    Of a module in `folder` these are all in that folder; of one on Python's own path those of the same package.

    Raises:
        UserError: where there is no such module, or a source is not Python.
    """
    root = root_of(module, folder)
    top = module.partition(".")[0]
    found: dict[str, Path] = {}
    waiting = list(_with_packages(module))
    while waiting:
        name = waiting.pop()
        path = None if name in found else _file(root, name)
        if path and (root == Path(folder) or name.partition(".")[0] == top):
            found[name] = path
            waiting += imports(path, name)
    if module not in found:
        raise UserError(f"there is no module '{module}' in {root}")
    return found


def root_of(module: str, folder: str) -> Path:
    """The folder that a module's outermost package is in: `folder`, or one on Python's own path.

    Raises:
        UserError: where there is none.
    """
    top = module.partition(".")[0]
    if top in _OURS:
        raise UserError(f"'{top}' is a package of Hubline's own; call yours something else")
    if Path(folder, top).is_dir() or Path(folder, f"{top}.py").is_file():
        return Path(folder)
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # of what has no specification, such as __main__
        spec = None
    places = list(spec.submodule_search_locations or ()) if spec else []
    if spec is None or not (places or spec.has_location):
        raise UserError(f"there is no module '{top}' in {folder}, nor on Python's own path")
    return Path(places[0] if places else spec.origin or "").parent


def check_defines(path: Path, name: str) -> None:
    """Makes sure that a source file has something of a name.

    Raises:
        UserError: where it has not.
    """
    defined: set[str] = set()
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.alias):
            defined.add(node.asname or node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            defined.add(node.id)
    if name not in defined and "*" not in defined:
        raise UserError(f"{path}: there is no function '{name}' in it")


def imports(source: Path, module: str) -> Iterator[str]:
    """The modules that a source file names in its imports, inside functions too, and the packages they are in.

    Args:
        source: The file.
        module: Its name as a module, from which relative imports count.
    """
    package = module if source.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(_parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)] if base else []
        for name in names:
            yield from _with_packages(name)


def _base(node: ast.ImportFrom, package: str) -> str:
    """The module that names are imported from; empty where there is none so far up."""
    if not node.level:
        return node.module or ""
    above = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def _with_packages(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def _file(root: Path, module: str) -> Path | None:
    place = root.joinpath(*module.split("."))
    return next((path for path in (place / "__init__.py", place.with_name(f"{place.name}.py")) if path.is_file()), None)


def _parse(source: Path) -> ast.Module:
    try:
        return ast.parse(source.read_bytes())
    except (SyntaxError, ValueError) as error:  # ValueError where there are null bytes
        line = getattr(error, "lineno", None)
        raise UserError(f"{source}{f':{line}' if line else ''}: not Python: {getattr(error, 'msg', error)}") from None
