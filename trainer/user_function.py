"""Imports and calls functions of the user's own."""

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hubline.core.errors import UserError, library_reason
from hubline.trainer.config.user_function import UserFunction
from hubline.trainer.user_source import root_of, sources

_imported: dict[Path, bytes] = {}
"""Sources that this process has imported so far, with their content at that time."""


def imported(config: UserFunction) -> Callable[..., Any]:
    """The function, within `importable`.

    Raises:
        UserError: if it cannot be imported, or is no function.
    """
    module = of_user(f"{config.module} cannot be imported", config, lambda: importlib.import_module(config.module))
    function = getattr(module, config.function, None)
    if not callable(function):
        raise UserError(f"{module.__file__}: there is no function '{config.function}' in it")
    return function


@contextmanager
def importable(config: UserFunction) -> Iterator[None]:
    """Makes the user's module importable, with its current source, including imports inside functions."""
    root, files = root_of(config.module, config.folder), sources(config.module, config.folder)
    _refuse_other_modules(files)
    if root == Path(config.folder):
        contents = {path: path.read_bytes() for path in files.values()}
        if any(_imported.get(path, content) != content for path, content in contents.items()):
            for name in files:
                sys.modules.pop(name, None)
        _imported.update(contents)
    importlib.invalidate_caches()
    sys.path.insert(0, str(root))
    # Python's bytecode cache takes two sources of the same length and modification second for the same.
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = written
        sys.path.remove(str(root))


def _refuse_other_modules(files: Mapping[str, Path]) -> None:
    """Raises a UserError if this process has already imported another module under one of the user's module names.

    Modules that the function of another pipeline imported are removed from `sys.modules` instead.
    """
    folders = {folder for path in _imported for folder in path.parents}
    packages = {name.rsplit(".", depth)[0] for name in files for depth in range(1, name.count(".") + 1)}
    for name, path in [*((package, None) for package in packages - files.keys()), *files.items()]:
        module = sys.modules.get(name)
        there = getattr(module, "__file__", None)
        if there is None:
            # A namespace package, which would otherwise stand for the folder of another pipeline.
            if module is not None and all(Path(folder) in folders for folder in module.__path__):
                sys.modules.pop(name)
            continue
        if path is not None and Path(there).resolve() == path.resolve():
            continue
        if Path(there) not in _imported:
            raise UserError(f"{path or name}: there is another module '{name}', {there}; call yours something else")
        sys.modules.pop(name)


def of_user(says: str, config: UserFunction, run: Callable[[], Any]) -> Any:
    """Runs user code. Exceptions become a UserError with the line in the user's source."""
    try:
        return run()
    except Exception as error:
        own = {str(path) for path in sources(config.module, config.folder).values()}
        steps = [step for step in traceback.extract_tb(error.__traceback__) if step.filename in own]
        place = f"{steps[-1].filename}:{steps[-1].lineno}: " if steps else ""
        reason = library_reason(error)
        raise UserError(f"{place}{says}: {type(error).__name__}: {reason}") from error


def parameters(function: Callable[..., Any]) -> str:
    """The parameters of a function, for messages."""
    try:
        return str(inspect.signature(function))
    except ValueError:
        return "arguments that it does not tell"
