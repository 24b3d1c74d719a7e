"""The file that tells workers what to train."""

import json
from dataclasses import dataclass
from typing import Any

from tfx.types import Artifact
from tfx.types.artifact_utils import jsonify_artifact_dict, parse_artifact_dict

from hubline.core import storage

Artifacts = dict[str, list[Artifact]]


@dataclass(frozen=True)
class JobFile:
    """What the executor was called with."""

    inputs: Artifacts
    outputs: Artifacts
    properties: dict[str, Any]


def write(path: str, job: JobFile) -> None:
    """Writes the file."""
    content = {
        "inputs": jsonify_artifact_dict(job.inputs),
        "outputs": jsonify_artifact_dict(job.outputs),
        "properties": job.properties,
    }
    storage.write_text(path, json.dumps(content))


def read(path: str) -> JobFile:
    """Reads the file."""
    with storage.open_binary(path) as file:
        content = json.load(file)
    inputs, outputs = (parse_artifact_dict(content[key]) for key in ("inputs", "outputs"))
    return JobFile(inputs, outputs, content["properties"])
