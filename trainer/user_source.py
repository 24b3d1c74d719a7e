"""Finds the source of a user's own function and of its imports, without importing any of it."""

import ast
import hashlib
import importlib.util
from pathlib import Path

from hubline.core.digest import file_digest
from hubline.core.errors import UserError
from hubline.core.source_imports import imports, parse, with_packages
from hubline.trainer.config.user_function import UserFunction


def sources(module: str, folder: str) -> dict[str, Path]:
    """The source file of a module and of all that it imports, directly or indirectly, by module name.

    For a module in `folder`, only imports from that folder are followed; for a module on Python's own path, only those
    from the same package.

    Raises:
        UserError: if there is no such module, or a source is not valid Python.
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
            waiting += imports(parse(path), path, name)
    if module not in found:
        raise UserError(f"there is no module '{module}' in {root}")
    return found


def source_digest(function: UserFunction) -> str:
    """SHA-256 of the module of a user's function and of all the user's modules that it imports, directly or indirectly.

    Raises:
        UserError: if the module or function doesn't exist.
    """
    found = sources(function.module, function.folder)
    check_defines(found[function.module], function.function)
    digest = hashlib.sha256()
    for name, source in sorted(found.items()):
        digest.update(f"{name}\0{file_digest(str(source))}\0".encode())
    return digest.hexdigest()


def root_of(module: str, folder: str) -> Path:
    """The folder of a module's outermost package: `folder`, or one on Python's own path.

    Raises:
        UserError: if there is none.
    """
    top = module.partition(".")[0]
    if top == "hubline":
        raise UserError("'hubline' is Hubline's own package; call yours something else")
    if Path(folder, top).is_dir() or Path(folder, f"{top}.py").is_file():
        return Path(folder)
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # the module has no spec, like __main__
        spec = None
    places = list(spec.submodule_search_locations or ()) if spec else []
    if spec is None or not (places or spec.has_location):
        raise UserError(f"there is no module '{top}' in {folder}, nor on Python's own path")
    return Path(places[0] if places else spec.origin or "").parent


def check_defines(path: Path, name: str) -> None:
    """Checks that a source file defines a name.

    Raises:
        UserError: if it doesn't.
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
