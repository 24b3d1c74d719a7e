"""A user's own function: found, imported and called."""

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf

from hubline.core.errors import UserError, library_reason
from hubline.trainer.backbones.config import Builder
from hubline.trainer.backbones.user_source import root_of, sources

_imported: dict[Path, bytes] = {}
"""The sources that this process has imported so far, as they were then."""


def built(config: Builder, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """What a user's layer gives for symbolic inputs of Keras.

    Args:
        config: The function, and what it is handed.
        inputs: By their names. The layer is given the one that there is, or of several the mapping.

    Raises:
        UserError: where the function cannot be imported, takes other arguments, fails, or gives no Keras layer; or that
            layer fails, or gives something else than numbers [batch, n].
    """
    with _importable(config):
        function = _function(config)
        try:
            signature = inspect.signature(function)
            signature.bind(**config.arguments)
        except (TypeError, ValueError) as error:
            raise UserError(f"{config.call} takes {_shown(function)}, and `arguments` do not fit: {error}") from None
        tf.keras.backend.reset_uids()  # so that layers without a name have the same one in every process
        layer = _of_user(f"{config.call} failed", config, lambda: function(**config.arguments))
        if not isinstance(layer, tf.keras.layers.Layer):
            raise UserError(
                f"{config.call} gives a {type(layer).__module__}.{type(layer).__name__}, and must give a layer or "
                "model of tf.keras (import tensorflow as tf), which is Keras 2 here"
            )
        given = next(iter(inputs.values())) if len(inputs) == 1 else dict(inputs)
        vector = _of_user(f"what {config.call} gives cannot be called", config, lambda: layer(given))
    if not tf.is_tensor(vector):
        raise UserError(f"what {config.call} gives must give one tensor, [batch, n]; it gives {type(vector).__name__}")
    shape = vector.shape
    if shape.rank != 2 or shape[1] is None or not (vector.dtype.is_floating or vector.dtype.is_integer):
        shown = f"{vector.dtype.name}{[*shape] if shape.rank is not None else ' of unknown rank'}".replace("None", "?")
        raise UserError(f"what {config.call} gives must give numbers [batch, n] with n known; it gives {shown}")
    return vector


def _function(config: Builder) -> Callable[..., Any]:
    module = _of_user(f"{config.module} cannot be imported", config, lambda: importlib.import_module(config.module))
    function = getattr(module, config.function, None)
    if not callable(function):
        raise UserError(f"{module.__file__}: there is no function '{config.function}' in it")
    return function


@contextmanager
def _importable(config: Builder) -> Iterator[None]:
    """Has Python find the module, as its source is now; for what is imported in functions, too."""
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
    # Python takes two sources of the same length and second for the same.
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = written
        sys.path.remove(str(root))


def _refuse_other_modules(files: Mapping[str, Path]) -> None:
    """Raises a UserError where this process knows a module of another place by the name of one of the user's.

    Those that another pipeline's function brought are forgotten.
    """
    folders = {folder for path in _imported for folder in path.parents}
    packages = {name.rsplit(".", depth)[0] for name in files for depth in range(1, name.count(".") + 1)}
    for name, path in [*((package, None) for package in packages - files.keys()), *files.items()]:
        module = sys.modules.get(name)
        there = getattr(module, "__file__", None)
        if there is None:
            # A folder without __init__.py, which would go on to stand for that of another pipeline.
            if module is not None and all(Path(folder) in folders for folder in module.__path__):
                sys.modules.pop(name)
            continue
        if path is not None and Path(there).resolve() == path.resolve():
            continue
        if Path(there) not in _imported:
            raise UserError(f"{path or name}: there is another module '{name}', {there}; call yours something else")
        sys.modules.pop(name)


def _of_user(says: str, config: Builder, run: Callable[[], Any]) -> Any:
    """What the user's code gives; what it raises becomes a UserError with the line of their source."""
    try:
        return run()
    except Exception as error:
        own = {str(path) for path in sources(config.module, config.folder).values()}
        steps = [step for step in traceback.extract_tb(error.__traceback__) if step.filename in own]
        place = f"{steps[-1].filename}:{steps[-1].lineno}: " if steps else ""
        reason = library_reason(error)
        raise UserError(f"{place}{says}: {type(error).__name__}: {reason}") from error


def _shown(function: Callable[..., Any]) -> str:
    try:
        return str(inspect.signature(function))
    except ValueError:
        return "arguments that it does not tell"
