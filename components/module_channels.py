"""Reads the hub modules that a step gets: one input per module, as one can't hold several artifacts on Kubeflow."""

from collections.abc import Mapping
from typing import Any

from tfx.types import artifact_utils

from hubline.components.input_artifacts import module_folder
from hubline.components.module_keys import PREFIX


def artifacts(input_dict: Mapping[str, list[Any]]) -> dict[str, Any]:
    """Model artifact of each module among a step's inputs, by module name."""
    return {
        key.removeprefix(PREFIX): artifact_utils.get_single_instance(found)
        for key, found in input_dict.items()
        if key.startswith(PREFIX)
    }


def folders(input_dict: Mapping[str, list[Any]]) -> dict[str, str]:
    """Folder of each module's SavedModel, by module name."""
    return {name: module_folder([artifact]) for name, artifact in artifacts(input_dict).items()}


def digests(input_dict: Mapping[str, list[Any]]) -> dict[str, str]:
    """SHA-256 of each module, by module name."""
    return {name: artifact.get_string_custom_property("sha256") for name, artifact in artifacts(input_dict).items()}
