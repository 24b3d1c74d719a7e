"""Passes a step's execution properties from `Pin` to the step in a single text parameter.

Most are passed in a file. The text is part of a command, and Linux limits an argument to 128 KiB; and it occurs six
times in the Argo workflow, with nested quotes escaped each time, and the workflow is limited to 1 MiB
(`workflow_size.py`).
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from hubline.core import storage
from hubline.core.errors import RunError
from hubline.pipeline.kubeflow.escaping import argument

_MOST = 200
"""Maximum length of properties passed inline, in characters."""

_FILE = "file:"


def handed(properties: Mapping[str, Any], state: str) -> str:
    """Serializes properties; deterministic.

    Args:
        properties: JSON-compatible values; None values are dropped.
        state: Folder that every step can access.

    Returns:
        The properties as JSON, or the path of a file that contains the JSON.
    """
    text = argument({key: properties[key] for key in sorted(properties) if properties[key] is not None})
    if len(text) <= _MOST:
        return text
    path = f"{state}/properties/{hashlib.sha256(text.encode()).hexdigest()}.json"
    storage.write_bytes(path, text.encode())
    return _FILE + path


def taken(text: str) -> dict[str, Any]:
    """Reads the properties from the text that `handed` returned.

    Raises:
        RunError: if the file is missing.
    """
    if text.startswith(_FILE):
        path = text.removeprefix(_FILE)
        if not storage.exists(path):
            raise RunError(
                f"{path}: the file with this step's properties is missing; run the pipeline again from the start"
            )
        with storage.open_binary(path) as file:
            text = file.read().decode()
    return json.loads(text)
