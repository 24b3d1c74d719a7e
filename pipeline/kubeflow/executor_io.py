"""Input of a container from KFP's launcher, and the output file that the launcher reads afterwards.

Both are JSON: `ExecutorInput` and `ExecutorOutput` of KFP's pipeline spec
(https://github.com/kubeflow/pipelines/blob/master/api/v2alpha1/pipeline_spec.proto). Fields added by other versions of
KFP are ignored.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from tfx.types import Artifact
from tfx.types.artifact import PropertyType
from tfx.types.value_artifact import ValueArtifact
from tfx.utils import import_utils, name_utils

from hubline.core import storage

MOUNTED = {"gs://": "/gcs/", "s3://": "/s3/", "minio://": "/minio/"}
"""Local folders to which the launcher downloads artifacts and from which it uploads them (`LocalPathForURI`). It
downloads every input anyway, and TensorFlow reads neither minio:// nor, without an extra package, s3://."""


_STANDARD = "tfx.types.standard_artifacts."
"""Default module of artifact classes."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class RuntimeArtifact(_Message):
    name: str = ""
    uri: str = ""
    metadata: dict[str, Any] = {}


class ArtifactList(_Message):
    """The artifacts of an input or output; TFX uses a single one."""

    artifacts: list[RuntimeArtifact] = []


class Inputs(_Message):
    parameters: dict[str, Any] = Field(default={}, alias="parameterValues")
    artifacts: dict[str, ArtifactList] = {}


class Outputs(_Message):
    artifacts: dict[str, ArtifactList] = {}
    file: str = Field(alias="outputFile")


class ExecutorInput(_Message):
    """KFP's `ExecutorInput`."""

    inputs: Inputs = Inputs()
    outputs: Outputs

    def artifacts(
        self, types: Mapping[str, str], as_they_are: bool = False
    ) -> tuple[dict[str, list[Artifact]], dict[str, list[Artifact]]]:
        """Converts inputs and outputs to TFX artifacts, and creates the folders of outputs.

        Args:
            types: Class of each artifact, by name. Artifacts without one, such as `executor-logs` since KFP 2.5, belong
                to the launcher.
            as_they_are: Whether to use the artifacts' URIs, for workers outside the pod, rather than the launcher's
                local copies.
        """
        inputs, outputs = (
            {
                name: [_artifact(types[name], each, as_they_are) for each in found.artifacts]
                for name, found in by_name.items()
                if name in types
            }
            for by_name in (self.inputs.artifacts, self.outputs.artifacts)
        )
        for (artifact,) in outputs.values():
            if not isinstance(artifact, ValueArtifact):  # whose parent folder exists
                storage.make_folder(artifact.uri)
        return inputs, outputs

    def finish(
        self, outputs: Mapping[str, list[Artifact]] | None = None, parameters: Mapping[str, str] | None = None
    ) -> None:
        """Writes the output file: metadata of artifacts, and values of parameters."""
        artifacts = {
            name: {
                "artifacts": [
                    given.model_dump() | {"metadata": _metadata(artifact)}
                    for given, artifact in zip(self.outputs.artifacts[name].artifacts, made, strict=True)
                ]
            }
            for name, made in (outputs or {}).items()
        }
        storage.write_text(
            self.outputs.file, json.dumps({"artifacts": artifacts, "parameterValues": dict(parameters or {})})
        )


def type_name(artifact_type: type[Artifact]) -> str:
    """Short name of an artifact class for `ExecutorInput.artifacts`; short because it is part of the workflow."""
    return name_utils.get_full_name(artifact_type).removeprefix(_STANDARD)


def local(uri: str) -> str:
    """The launcher's local path for a URI in an object store; other paths are returned unchanged."""
    for scheme, folder in MOUNTED.items():
        if uri.startswith(scheme):
            return folder + uri[len(scheme) :]
    return uri


def remote(path: str) -> str:
    """The URI of a launcher's local path; other paths are returned unchanged."""
    for scheme, folder in MOUNTED.items():
        if path.startswith(folder):
            return scheme + path[len(folder) :]
    return path


def _artifact(type_path: str, given: RuntimeArtifact, as_it_is: bool) -> Artifact:
    artifact_type = import_utils.import_class_by_path(type_path if "." in type_path else _STANDARD + type_path)
    artifact = artifact_type()
    artifact.uri = given.uri if as_it_is else local(given.uri)
    for key, value in given.metadata.items():
        known = (artifact_type.PROPERTIES or {}).get(key)
        # JSON has a single number type, and the backend returns all numbers as floats.
        is_whole = isinstance(value, float) and value.is_integer()
        if known is not None:
            setattr(artifact, key, _property(known.type, value))
        elif isinstance(value, str):
            artifact.set_string_custom_property(key, value)
        elif isinstance(value, int) or is_whole:
            artifact.set_int_custom_property(key, int(value))
        elif isinstance(value, float):
            artifact.set_float_custom_property(key, value)
    return artifact


def _property(kind: PropertyType, value: Any) -> Any:
    if kind == PropertyType.JSON_VALUE:
        return json.loads(value)
    return int(value) if kind == PropertyType.INT else value


def _metadata(artifact: Artifact) -> dict[str, Any]:
    """Properties and custom properties that are set.

    JSON properties are passed as text, so that they arrive unchanged; the backend alters structs. JSON custom
    properties are passed as structs, for the dashboard only; no step reads them.
    """
    own, custom = artifact.mlmd_artifact.properties, artifact.mlmd_artifact.custom_properties
    metadata = {key: value for key in own if (value := getattr(artifact, key)) is not None}
    metadata = {
        key: value if isinstance(value, str | int | float) else json.dumps(value) for key, value in metadata.items()
    }
    for key, value in custom.items():
        if which := value.WhichOneof("value"):
            is_json = which == "struct_value"
            metadata[key] = artifact.get_json_value_custom_property(key) if is_json else getattr(value, which)
    return metadata
