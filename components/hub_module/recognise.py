"""Recognizes what is at a path that holds no SavedModel, and suggests a fix."""

import re
import zipfile
from pathlib import Path

from hubline.core import storage
from hubline.core.errors import UserError

_FILE = "saved_model.pb"
_SHARD = re.compile(r"variables\.data-\d{5}-of-(\d{5})")
_EXPORT = (
    "save the model as a SavedModel and give that folder: "
    "tf.keras.models.load_model('{path}').export('module'), or .save('module', save_format='tf') with Keras 2"
)
_OTHERS = {
    ".tflite": "a TensorFlow Lite file, made for devices alone; give the SavedModel that it was made from",
    ".onnx": "an ONNX file; convert it to a SavedModel and give that folder",
    ".safetensors": "a file of weights without a graph; load it into its model, and save that as a SavedModel",
    ".pb": f"a graph alone, without variables; a SavedModel is a folder with {_FILE} and variables/",
    ".pbtxt": f"a graph as text; a SavedModel is a folder with {_FILE} and variables/",
    ".zip": "a zip file; give the unpacked folder, or pack it as .tar.gz",
}


def refuse(path: str) -> None:
    """Raises a UserError if a file is known not to be an archive of a SavedModel, or a folder is not a SavedModel."""
    found = _folder(path) if storage.is_folder(path) else _file(path)
    if found:
        raise UserError(f"{path}: {found}")


def _file(path: str) -> str | None:
    with Path(path).open("rb") as file:
        head = file.read(8)
    is_hdf5, is_zip = head.startswith(b"\x89HDF\r\n"), zipfile.is_zipfile(path)
    if path.endswith(".keras") or is_hdf5 or (is_zip and _is_keras(path)):
        return f"a Keras file, not a SavedModel; {_EXPORT.format(path=path)}"
    if Path(path).name == _FILE:
        return f"a file of a SavedModel; give the folder that it is in, {Path(path).parent}"
    return _OTHERS.get(".zip" if is_zip else Path(path).suffix)


def _is_keras(path: str) -> bool:
    with zipfile.ZipFile(path) as file:
        return {"config.json", "metadata.json"} <= set(file.namelist())


def _folder(path: str) -> str | None:
    names = storage.names(path)
    if _FILE in names:
        return None
    versions = [name for name in names if storage.exists(f"{path}/{name}/{_FILE}")]
    numbered = sorted((name for name in versions if name.isdecimal() and name.isascii()), key=int)
    if numbered:
        return (
            f"a folder of versions ({_listed(numbered)}), not a module; give one of them, such as {path}/{numbered[-1]}"
        )
    if versions:
        return f"not a hub module, but a folder of {_listed(versions)}; give one of them, such as {path}/{versions[0]}"
    if any(name == "checkpoint" or name.endswith(".index") for name in names):
        return "a checkpoint, weights without a graph; load it into its model, and save that as a SavedModel"
    keras = [name for name in names if name.endswith((".keras", ".h5", ".hdf5"))]
    if keras:
        return f"not a hub module, but a folder with a Keras file; {_EXPORT.format(path=f'{path}/{keras[0]}')}"
    return f"not a hub module: there is no {_FILE} in this folder"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def check_whole(handle: str, folder: str, has_variables: bool) -> None:
    """Checks that the variable files of a SavedModel are complete.

    Args:
        handle: The module's name in error messages.
        folder: Folder of the SavedModel.
        has_variables: Whether the graph has variables.

    Raises:
        UserError: if files are missing.
    """
    if not has_variables:
        return
    names = storage.names(f"{folder}/variables")
    shards = [shard for name in names if (shard := _SHARD.fullmatch(name))]
    expected = int(shards[0][1]) if shards else 1
    missing = "variables/variables.index" if "variables.index" not in names else None
    if len(shards) < expected:
        missing = missing or f"{expected - len(shards)} of {expected} files variables/variables.data-…"
    if missing:
        raise UserError(
            f"{handle}: a SavedModel without its variables: {missing} is missing, so the folder was not copied or "
            "unpacked "
            "completely; copy it again"
        )
