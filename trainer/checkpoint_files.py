"""Files of TensorFlow checkpoints, found without TensorFlow."""

import hashlib
import re

from hubline.core import storage
from hubline.core.config_base import is_remote
from hubline.core.digest import file_digest

SAVED_MODEL, VARIABLES = "saved_model.pb", "variables/variables"


def files_of(prefix: str) -> list[str]:
    """The paths of a checkpoint's files, sorted; empty if there is no such checkpoint.

    Args:
        prefix: The checkpoint without `.index`; a checkpoint in the first format of TF1 is a file of this name.
    """
    folder, _, name = prefix.rpartition("/")
    found = [each for each in storage.names(folder) if each.startswith(name)] if storage.is_folder(folder) else []
    if f"{name}.index" in found:
        return [f"{folder}/{each}" for each in sorted(found) if re.fullmatch(r"\.index|\.data-.*", each[len(name) :])]
    return [prefix] if name in found and not storage.is_folder(prefix) else []


def checkpoint_in(path: str) -> str | None:
    """The prefix of the checkpoint at a path, or None: of the checkpoint itself, of a SavedModel's variables, or of the
    newest checkpoint that a folder lists."""
    prefix = re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", path)
    if files_of(prefix):
        return prefix
    if storage.exists(f"{path}/{SAVED_MODEL}"):
        return f"{path}/{VARIABLES}" if files_of(f"{path}/{VARIABLES}") else None
    return _newest_listed(path)


def _newest_listed(folder: str) -> str | None:
    """The newest checkpoint in the list that TensorFlow keeps in a folder, as text."""
    if not storage.exists(listed := f"{folder}/checkpoint") or storage.is_folder(listed):
        return None
    with storage.open_binary(listed) as file:
        found = re.search(r'^model_checkpoint_path: "(.+)"', file.read().decode(errors="replace"), re.MULTILINE)
    if found is None:
        return None
    listed = found[1]
    # The folder may have been copied or moved since TensorFlow wrote an absolute path.
    is_absolute = listed.startswith("/") or is_remote(listed)
    places = [f"{folder}/{listed.rpartition('/')[2]}", listed if is_absolute else f"{folder}/{listed}"]
    return next((place for place in places if files_of(place)), None)


def checkpoint_digest(prefix: str) -> str:
    """SHA-256 of a checkpoint's files and of what they are called after the prefix."""
    lines = (f"{file_digest(file)}  {file.removeprefix(prefix)}\n" for file in files_of(prefix))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
