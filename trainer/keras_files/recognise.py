"""Recognizes Keras files, without TensorFlow and Keras."""

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from hubline.core.config_base import Section
from hubline.core.errors import UserError
from hubline.trainer.keras_files.code import Code, code_in

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
_LAMBDAS = ("__lambda__", "Lambda")


class KerasFile(Section):
    """What a Keras file says about itself."""

    path: str
    version: str
    """Version of the Keras that wrote the file; empty if the file doesn't state it."""
    has_model: bool
    """Whether the file contains an architecture; otherwise weights only."""
    lambdas: tuple[str, ...] = ()
    """Names of Lambda layers, whose Python code is in the file; those of a SavedModel aren't read."""
    code: tuple[Code, ...] = ()
    """What the model names outside Keras, as `code_in`; that of a SavedModel isn't read."""
    classes: dict[str, str] = {}
    """Classes of other packages by registered name, with the Python module that the file names; empty if none."""

    @property
    def keras(self) -> Literal[2, 3]:
        return 3 if self.version.startswith("3.") else 2

    @property
    def description(self) -> str:
        """For example `a Keras 3 model`."""
        kind = "a Keras {} model" if self.has_model else "weights of a Keras {} model, without its architecture"
        return kind.format(self.keras) if self.version else kind.replace(" {}", "")


def read_keras_file(path: str) -> KerasFile | None:
    """Reads the metadata of a .keras or HDF5 file, or of a SavedModel written by Keras 2; None for other files.

    Raises:
        UserError: if the file is damaged.
    """
    if Path(path).is_dir():
        return _of_saved_model(path)
    with Path(path).open("rb") as file:
        head = file.read(len(_HDF5))
    if head.startswith(_HDF5):
        return _of_hdf5(path)
    if head.startswith(_ZIP) or path.endswith(".keras"):
        return _of_zip(path)
    return None


def _of_zip(path: str) -> KerasFile | None:
    try:
        with zipfile.ZipFile(path) as file:
            if not {"config.json", "metadata.json"} <= set(file.namelist()):
                return None
            config, metadata = (json.loads(file.read(f"{name}.json")) for name in ("config", "metadata"))
    except (zipfile.BadZipFile, EOFError, ValueError) as error:
        raise UserError(f"{path}: not a complete .keras file: {error}; copy the file again") from error
    return _keras_file(path, str(metadata.get("keras_version", "")), config)


def _of_hdf5(path: str) -> KerasFile | None:
    import h5py  # Imported here, because few handles are HDF5 files.

    try:
        with h5py.File(path, "r") as file:
            version, config = _text(file.attrs.get("keras_version")), _text(file.attrs.get("model_config"))
            has_weights = "layer_names" in file.attrs or {"layers", "_layer_checkpoint_dependencies"} & set(file)
    except (OSError, RuntimeError) as error:
        raise UserError(f"{path}: not a complete HDF5 file: {error}; copy the file again") from error
    if config:
        return _keras_file(path, version, json.loads(config))
    return KerasFile(path=path, version=version, has_model=False) if has_weights else None


def _of_saved_model(path: str) -> KerasFile | None:
    is_keras = Path(path, "keras_metadata.pb").is_file() and Path(path, "saved_model.pb").is_file()
    return KerasFile(path=path, version="2", has_model=True) if is_keras else None


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")


def _keras_file(path: str, version: str, config: Any) -> KerasFile:
    objects = list(objects_in(config))
    return KerasFile(
        path=path,
        version=version,
        has_model=True,
        lambdas=lambdas_in(config),
        code=code_in(objects),
        classes={name: str(each.get("module") or "") for each in objects if (name := _foreign(each))},
    )


def objects_in(config: Any) -> Iterator[Mapping[str, Any]]:
    """The serialized objects in a configuration, nested ones included."""
    if isinstance(config, Mapping):
        if isinstance(config.get("class_name"), str):
            yield config
        for value in config.values():
            yield from objects_in(value)
    elif isinstance(config, list):
        for value in config:
            yield from objects_in(value)


def lambdas_in(config: Any) -> tuple[str, ...]:
    """Names of the Lambda layers in a serialized model."""
    return tuple(dict.fromkeys(_lambda_name(each) for each in objects_in(config) if each["class_name"] in _LAMBDAS))


def refuse_lambdas(source: str, lambdas: Sequence[str]) -> None:
    """Raises a UserError if a model has Lambda layers."""
    if lambdas:
        raise UserError(
            f"{source}: the layer {lambdas[0]} contains Python code (Lambda), which loading would run with your "
            "rights; write the layer as a class, or, if you trust the file, add --allow-lambda"
        )


def _lambda_name(each: Mapping[str, Any]) -> str:
    inner = each.get("config")
    return str(inner.get("name", "lambda")) if isinstance(inner, Mapping) else "lambda"


def _foreign(each: Mapping[str, Any]) -> str | None:
    """The name of a class that isn't Keras' own, as far as the file says so."""
    name, registered = each["class_name"], each.get("registered_name")
    module = each.get("module")
    is_own = module is None or str(module).partition(".")[0] in ("keras", "tf_keras", "builtins", "tensorflow")
    if registered and registered != name:
        return str(registered)
    return name if ">" in name or not is_own else None
