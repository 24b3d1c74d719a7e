"""Passes hub modules to steps, one input per module, because an input can't hold several artifacts on Kubeflow."""

from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.types import artifact_utils

from hubline.components.input_artifacts import module_folder

_PREFIX = "hub_"


def inputs(modules: Mapping[str, types.BaseChannel]) -> dict[str, types.BaseChannel]:
    """Channels of the modules, by input key."""
    return {f"{_PREFIX}{name}": channel for name, channel in modules.items()}


def artifacts(input_dict: Mapping[str, list[Any]]) -> dict[str, Any]:
    """Model artifact of each module among a step's inputs, by module name."""
    return {
        key.removeprefix(_PREFIX): artifact_utils.get_single_instance(found)
        for key, found in input_dict.items()
        if key.startswith(_PREFIX)
    }


def folders(input_dict: Mapping[str, list[Any]]) -> dict[str, str]:
    """Folder of each module's SavedModel, by module name."""
    return {name: module_folder([artifact]) for name, artifact in artifacts(input_dict).items()}


def digests(input_dict: Mapping[str, list[Any]]) -> dict[str, str]:
    """SHA-256 of each module, by module name."""
    return {name: artifact.get_string_custom_property("sha256") for name, artifact in artifacts(input_dict).items()}
