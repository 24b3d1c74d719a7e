"""How hub modules come into the steps that use them: an input for each, which one input cannot hold on Kubeflow."""

from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.types import artifact_utils

from hubline.components.input_artifacts import module_folder

_PREFIX = "hub_"


def inputs(modules: Mapping[str, types.BaseChannel]) -> dict[str, types.BaseChannel]:
    """The modules, each under the key of its input."""
    return {f"{_PREFIX}{name}": channel for name, channel in modules.items()}


def artifacts(input_dict: Mapping[str, list[Any]]) -> dict[str, Any]:
    """Of a step's inputs, the Model artifact of each module, by name."""
    return {
        key.removeprefix(_PREFIX): artifact_utils.get_single_instance(found)
        for key, found in input_dict.items()
        if key.startswith(_PREFIX)
    }


def folders(input_dict: Mapping[str, list[Any]]) -> dict[str, str]:
    """Of a step's inputs, the folder of each module's SavedModel, by name."""
    return {name: module_folder([artifact]) for name, artifact in artifacts(input_dict).items()}


def digests(input_dict: Mapping[str, list[Any]]) -> dict[str, str]:
    """Of a step's inputs, the SHA-256 of each module, by name."""
    return {name: artifact.get_string_custom_property("sha256") for name, artifact in artifacts(input_dict).items()}
