"""Exporter's executor."""

import logging
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from hubline.artifacts.embedded_rows import EmbeddedRows
from hubline.artifacts.examples import Manifest
from hubline.components import module_channels
from hubline.components.exporter.card import ModuleCard
from hubline.components.input_artifacts import module_folder, split_files
from hubline.core import storage
from hubline.core.digest import tree_digest
from hubline.core.shard_dataset import read_decodable
from hubline.trainer.config.export import Export
from hubline.trainer.exports.hub_module import write_module
from hubline.trainer.exports.write import write_forms
from hubline.trainer.saved_model_loader import load_exported
from hubline.trainer.serving_guide.readme import remove_example

_LOGGER = logging.getLogger(__name__)

_PATTERNS = TypeAdapter(dict[str, str])
_COMPARED = 64
"""Records of the test split that every form of the model answers."""


class Executor(base_executor.BaseExecutor):
    """Adds other forms to the trained model, and extracts the hub module to publish."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fills `exported_model` with the model and its forms, and `module` with the fine-tuned hub module.

        Raises:
            UserError: if the model can't be converted.
        """
        export = Export.model_validate_json(exec_properties["export"])
        trained = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"]))
        model = path_utils.serving_model_dir(artifact_utils.get_single_uri(output_dict["exported_model"]))
        storage.copy_tree(trained, model)
        if export.example == "none":
            remove_example(model)
        counted = export.tflite.representative if export.tflite and export.tflite.quantize == "int8" else 1
        representative = _records(input_dict, "train", counted)
        found = write_forms(model, export, representative, _records(input_dict, "test", _COMPARED))
        for name, form in found.forms.items():
            _LOGGER.info("export.%s: differs from the SavedModel by at most %s", name, form.difference)
        if exec_properties["published"]:
            name = exec_properties["published"]
            artifact = module_channels.artifacts(input_dict)[name]
            folder = module_folder(output_dict["module"])
            write_module(module_folder([artifact]), load_exported(trained).modules[name], folder)
            card = ModuleCard(
                module=name,
                handle=artifact.get_string_custom_property("handle"),
                source_sha256=artifact.get_string_custom_property("sha256"),
                sha256=tree_digest(folder),
                pipeline=exec_properties["pipeline"],
                data=_PATTERNS.validate_json(exec_properties["data"]),
                examples=Manifest.read(artifact_utils.get_single_uri(input_dict["examples"])).counts,
            )
            card.write(artifact_utils.get_single_uri(output_dict["module"]))


def _records(input_dict: Mapping[str, Any], split: str, most: int) -> list[bytes]:
    """Records of a split, spread evenly over it."""
    rows = EmbeddedRows.read(artifact_utils.get_single_uri(input_dict["rows"]))
    rows.check_against(Manifest.read(artifact_utils.get_single_uri(input_dict["examples"])))
    files = split_files(input_dict["examples"], split)
    records = read_decodable(files, rows.undecodable(split), in_order=True)
    step = max(1, rows.count(split) // most)
    return [record.numpy() for record in records.shard(step, 0).take(most)]
