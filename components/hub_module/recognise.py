"""Recognizes what is at a path that holds no SavedModel, and suggests a fix."""

import re
import zipfile
from pathlib import Path

from hubline.core import storage
from hubline.core.errors import UserError
from hubline.trainer.keras_files.recognise import KerasFile, read_keras_file

_FILE = "saved_model.pb"
_SHARD = re.compile(r"variables\.data-\d{5}-of-(\d{5})")
_MAKE = "hubline module from-keras {path} --output DIR"
_HDF5, _TFLITE = b"\x89HDF\r\n", b"TFL3"
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
    if keras := read_keras_file(path):
        return _keras(keras)
    if zipfile.is_zipfile(path):
        return _OTHERS[".zip"]
    if Path(path).name == _FILE:
        return f"a file of a SavedModel; give the folder that it is in, {Path(path).parent}"
    with Path(path).open("rb") as file:
        head = file.read(8)
    if head[4:] == _TFLITE:
        return _OTHERS[".tflite"]
    return "an HDF5 file that Keras didn't write" if head.startswith(_HDF5) else _OTHERS.get(Path(path).suffix)


def _keras(file: KerasFile) -> str:
    if not file.has_model:
        return f"{file.description}; save the whole model, and make a module of it: {_MAKE.format(path='model.keras')}"
    return f"{file.description}; make a module of it: {_MAKE.format(path=file.path)}"


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
        found = read_keras_file(f"{path}/{keras[0]}")
        about = _keras(found) if found else "an HDF5 file that Keras didn't write"
        return f"not a hub module, but a folder with {keras[0]}, {about}"
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
