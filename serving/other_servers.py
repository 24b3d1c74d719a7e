"""How production servers serve the same folder: configurations to start from."""

import io
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ruamel.yaml import YAML

from hubline.core import storage
from hubline.core.config_base import is_remote
from hubline.core.errors import UserError
from hubline.serving.policy import VersionPolicy
from hubline.serving.versions import version_number

Kind = Literal["tf-serving", "docker", "kserve"]


def configuration(kind: Kind, folder: str, name: str, policy: VersionPolicy, labels: Mapping[str, int]) -> str:
    """The configuration of a server.

    - `tf-serving`: a file for `tensorflow_model_server --model_config_file`.
    - `docker`: a command that runs TensorFlow Serving's image.
    - `kserve`: an InferenceService.

    Args:
        kind: The server.
        folder: A serving folder, or a single version.
        name: Name of the model in requests.
        policy: Which versions to serve.
        labels: Versions by label.

    Raises:
        UserError: if the folder isn't there, if the server can't reach it, or if it can't serve these versions.
    """
    folder, policy = _base(folder, policy)
    if kind == "tf-serving":
        return _tf_serving(folder, name, policy, labels)
    if policy != VersionPolicy() or labels:
        raise UserError(
            f"--config {kind} serves the newest version only; use --config tf-serving for labels and other versions"
        )
    return _docker(folder, name) if kind == "docker" else _kserve(folder, name)


def _base(folder: str, policy: VersionPolicy) -> tuple[str, VersionPolicy]:
    """The serving folder, if the folder is a version in one."""
    path = folder.rstrip("/") if is_remote(folder) else str(Path(folder).absolute())
    parent, _, last = path.rpartition("/")
    number = version_number(last)
    if number is not None and storage.exists(f"{path}/saved_model.pb"):
        return parent, VersionPolicy(fixed=(number,))
    if not is_remote(path):
        if not storage.is_folder(path):
            raise UserError(f"{path}: there is no such folder")
        if storage.exists(f"{path}/saved_model.pb"):
            raise UserError(f"{path}: servers read a SavedModel from a folder with a number, such as {path}/1")
    return path, policy


def _tf_serving(folder: str, name: str, policy: VersionPolicy, labels: Mapping[str, int]) -> str:
    if policy.fixed:
        chosen = f"specific {{ {' '.join(f'versions: {version}' for version in policy.fixed)} }}"
    elif policy.latest is None:
        chosen = "all {}"
    else:
        chosen = f"latest {{ num_versions: {policy.latest} }}"
    lines = [
        *["# Start the server with --allow_version_labels_for_unavailable_models=true."] * bool(labels),
        "model_config_list {",
        "  config {",
        f"    name: {json.dumps(name)}",
        f"    base_path: {json.dumps(folder)}",
        '    model_platform: "tensorflow"',
        f"    model_version_policy {{ {chosen} }}",
        *(
            f"    version_labels {{ key: {json.dumps(label)} value: {version} }}"
            for label, version in sorted(labels.items())
        ),
        "  }",
        "}",
    ]
    return "\n".join(lines)


def _docker(folder: str, name: str) -> str:
    base = f"/models/{name}"
    words = ["docker", "run", "--rm", "-p", "8500:8500", "-p", "8501:8501"]
    if is_remote(folder):
        return shlex.join([*words, "tensorflow/serving", f"--model_name={name}", f"--model_base_path={folder}"])
    return shlex.join([*words, "-v", f"{folder}:{base}:ro", "-e", f"MODEL_NAME={name}", "tensorflow/serving"])


def _kserve(folder: str, name: str) -> str:
    if not is_remote(folder):
        raise UserError(f"--config kserve: KServe can't read {folder} of this machine; give the URL of a bucket")
    model: dict[str, Any] = {"modelFormat": {"name": "tensorflow"}, "storageUri": folder}
    service = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {"predictor": {"model": model}},
    }
    text = io.StringIO()
    YAML().dump(service, text)
    return text.getvalue().rstrip()
