"""A step's properties on their way from `Pin` to the step: one parameter, a text.

Most go by way of a file. The text is part of a command, of which Linux takes 128 KiB an argument; and it stands six
times in the Argo workflow, quotes within quotes escaped each time, which may not be longer than 1 MiB as a whole
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
"""Characters of a text that is the properties themselves."""

_FILE = "file:"


def handed(properties: Mapping[str, Any], state: str) -> str:
    """The text of some properties, the same for the same ones: as JSON, or the path of a file that holds it.

    Args:
        properties: What goes over as JSON; those that are None are left out.
        state: The folder that every step sees.
    """
    text = argument({key: properties[key] for key in sorted(properties) if properties[key] is not None})
    if len(text) <= _MOST:
        return text
    path = f"{state}/properties/{hashlib.sha256(text.encode()).hexdigest()}.json"
    storage.write_bytes(path, text.encode())
    return _FILE + path


def taken(text: str) -> dict[str, Any]:
    """The properties that `handed` made a text of.

    Raises:
        RunError: where the file is gone.
    """
    if text.startswith(_FILE):
        path = text.removeprefix(_FILE)
        if not storage.exists(path):
            raise RunError(f"{path}: gone, and it holds what this step is told; run the pipeline again from its start")
        with storage.open_binary(path) as file:
            text = file.read().decode()
    return json.loads(text)
