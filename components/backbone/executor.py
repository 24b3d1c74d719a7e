"""Backbone's executor."""

from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from hubline.components.backbone.sources import fingerprint
from hubline.components.input_artifacts import module_folder
from hubline.core import storage
from hubline.core.config_base import read_sections
from hubline.core.errors import DataError, UserError
from hubline.preprocessing.module_features import ModuleFeatures
from hubline.trainer.backbones.backbone_layer import try_out
from hubline.trainer.backbones.config import AnyBackbone
from hubline.trainer.config.model import VariableSelection


class Executor(base_executor.BaseExecutor):
    """Builds one backbone as a trial, and stores its weights."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fills the `model` artifact: `module/` holds the weights file, if there is one.

        Raises:
            UserError: if the backbone cannot be built.
            DataError: if its source is not the one that was pinned.
        """
        backbone = read_sections(AnyBackbone, exec_properties["backbone"])
        features = read_sections(ModuleFeatures, exec_properties["features"])
        tuned = VariableSelection.model_validate_json(exec_properties["tuned"]) if exec_properties["tuned"] else None
        artifact = artifact_utils.get_single_instance(output_dict["model"])
        folder, weights = module_folder([artifact]), None
        try:
            found = fingerprint(backbone)
            if found != exec_properties["fingerprint"]:
                raise DataError("its weights or source have changed since the run began; run again")
            if backbone.weights_file:
                weights = f"{folder}/{backbone.weights_file.rpartition('/')[2]}"
                storage.copy(backbone.weights_file, weights)
            outputs, count = try_out(backbone, features, weights, tuned)
        except UserError as error:
            raise type(error)(f"backbones.{exec_properties['name']}: {error}") from error
        artifact.set_string_custom_property("name", exec_properties["name"])
        artifact.set_string_custom_property("sha256", found)
        artifact.set_int_custom_property("outputs", outputs)
        artifact.set_int_custom_property("weights", count)
