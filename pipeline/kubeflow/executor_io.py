"""What KFP's launcher hands a container, and what it reads when the container is done.

Both are JSON: an `ExecutorInput` and an `ExecutorOutput` of KFP's pipeline spec
(https://github.com/kubeflow/pipelines/blob/master/api/v2alpha1/pipeline_spec.proto). What a version of KFP adds to them
is passed over.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from tfx.dsl.io import fileio
from tfx.types import Artifact
from tfx.types.artifact import PropertyType
from tfx.types.value_artifact import ValueArtifact
from tfx.utils import import_utils, name_utils

from hubline.core import storage

MOUNTED = {"gs://": "/gcs/", "s3://": "/s3/", "minio://": "/minio/"}
"""Where the launcher puts what is in object stores, and takes it from (`LocalPathForURI`): it downloads every input in
any case, and TensorFlow reads neither minio:// nor, without a package of its own, s3://."""


_STANDARD = "tfx.types.standard_artifacts."
"""The module of the classes that are named without one."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class RuntimeArtifact(_Message):
    """One artifact."""

    name: str = ""
    uri: str = ""
    metadata: dict[str, Any] = {}


class ArtifactList(_Message):
    """The artifacts of an input or output, of which TFX has one."""

    artifacts: list[RuntimeArtifact] = []


class Inputs(_Message):
    """What goes in."""

    parameters: dict[str, Any] = Field(default={}, alias="parameterValues")
    artifacts: dict[str, ArtifactList] = {}


class Outputs(_Message):
    """Where what comes out goes."""

    artifacts: dict[str, ArtifactList] = {}
    file: str = Field(alias="outputFile")


class Launched(_Message):
    """An `ExecutorInput`."""

    inputs: Inputs = Inputs()
    outputs: Outputs

    def artifacts(
        self, types: Mapping[str, str], as_they_are: bool = False
    ) -> tuple[dict[str, list[Artifact]], dict[str, list[Artifact]]]:
        """The inputs and outputs as TFX has them; the folders of outputs are made.

        Args:
            types: The class of each, by name. What has none, such as the `executor-logs` of KFP since 2.5, is the
                launcher's own.
            as_they_are: Whether they are read and written where their URIs say, for workers that are not in the pod;
                without, at the paths to which the launcher downloads them, and from which it uploads.
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
            if not isinstance(artifact, ValueArtifact):  # of which the folder that it is in is there
                fileio.makedirs(artifact.uri)
        return inputs, outputs

    def finish(
        self, outputs: Mapping[str, list[Artifact]] | None = None, parameters: Mapping[str, str] | None = None
    ) -> None:
        """Tells the launcher what came out: what is known of artifacts, and the values of parameters."""
        told = {
            name: {
                "artifacts": [
                    given.model_dump() | {"metadata": _metadata(artifact)}
                    for given, artifact in zip(self.outputs.artifacts[name].artifacts, made, strict=True)
                ]
            }
            for name, made in (outputs or {}).items()
        }
        storage.write_text(
            self.outputs.file, json.dumps({"artifacts": told, "parameterValues": dict(parameters or {})})
        )


def type_name(artifact_type: type[Artifact]) -> str:
    """The name of an artifact's class by which `Launched.artifacts` finds it: short, for it stands in the workflow."""
    return name_utils.get_full_name(artifact_type).removeprefix(_STANDARD)


def local(uri: str) -> str:
    """The path at which the launcher has what is in an object store; of a path itself."""
    for scheme, folder in MOUNTED.items():
        if uri.startswith(scheme):
            return folder + uri[len(scheme) :]
    return uri


def _artifact(type_path: str, given: RuntimeArtifact, as_it_is: bool) -> Artifact:
    artifact_type = import_utils.import_class_by_path(type_path if "." in type_path else _STANDARD + type_path)
    artifact = artifact_type()
    artifact.uri = given.uri if as_it_is else local(given.uri)
    for key, value in given.metadata.items():
        known = (artifact_type.PROPERTIES or {}).get(key)
        # A number in JSON is a float, whatever it was a number of.
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
    """Properties and custom properties that have a value.

    A property of the type that is JSON goes as text, which comes back as it went: of a struct, the backend makes one in
    another. A custom one goes as it is, for the dashboard, and to no step.
    """
    own, custom = artifact.mlmd_artifact.properties, artifact.mlmd_artifact.custom_properties
    told = {key: value for key in own if (value := getattr(artifact, key)) is not None}
    told = {key: value if isinstance(value, str | int | float) else json.dumps(value) for key, value in told.items()}
    for key, value in custom.items():
        if which := value.WhichOneof("value"):
            is_json = which == "struct_value"
            told[key] = artifact.get_json_value_custom_property(key) if is_json else getattr(value, which)
    return told
