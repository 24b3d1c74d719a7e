"""Where the source of a user's own function is, and what it imports; asked without importing any of it."""

import ast
import importlib.util
from pathlib import Path

from hubline.core.errors import UserError
from hubline.core.source_imports import imports, parse, with_packages


def sources(module: str, folder: str) -> dict[str, Path]:
    """The file of a module, and of each that it imports, directly or not, by the modules' names.

    Of a module in `folder` these are all in that folder; of one on Python's own path those of the same package.

    Raises:
        UserError: where there is no such module, or a source is not Python.
    """
    root = root_of(module, folder)
    top = module.partition(".")[0]
    found: dict[str, Path] = {}
    waiting = list(with_packages(module))
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
    if top == "hubline":
        raise UserError("'hubline' is Hubline's own package; call yours something else")
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
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.alias):
            defined.add(node.asname or node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            defined.add(node.id)
    if name not in defined and "*" not in defined:
        raise UserError(f"{path}: there is no function '{name}' in it")


def _file(root: Path, module: str) -> Path | None:
    place = root.joinpath(*module.split("."))
    return next((path for path in (place / "__init__.py", place.with_name(f"{place.name}.py")) if path.is_file()), None)
