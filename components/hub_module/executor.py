"""What HubModule does when it runs."""

import tempfile
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils

from components.artifacts import module_folder
from components.hub_module.fetch import fetch
from components.predictor.feeds import call_with
from preprocessing.config import Features, FeaturesToInfer
from preprocessing.errors import UserError
from preprocessing.section import read_sections
from trainer.changing import try_out_changing
from trainer.config import Hub, Tuned
from trainer.loading import open_module
from trainer.model import try_out
from trainer.module import check_fits
from trainer.pretrained import WORDS, of_words


class Executor(base_executor.BaseExecutor):
    """Fetches, verifies, inspects and stores one module."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fills the `model` artifact: the SavedModel in `module/`, what it offers in `inspection.json`."""
        hub = Hub.model_validate_json(exec_properties["hub"])
        features = read_sections(FeaturesToInfer if exec_properties["asked"] else Features, exec_properties["features"])
        if not hub.inputs:
            hub, features = of_words(hub), WORDS
        artifact = artifact_utils.get_single_instance(output_dict["model"])
        with tempfile.TemporaryDirectory() as folder:
            source, digest = fetch(hub.handle, hub.sha256, folder)
            opened = open_module(source)
            module, tuned = opened.offer, exec_properties["tuned"]
            try:
                if exec_properties["asked"]:
                    function = call_with(module, hub, features).function
                elif hub.role == "augment":
                    try_out_changing(hub, opened, features)
                    function = module.functions(hub)[0]
                else:
                    check_fits(module, hub, features)
                    try_out(hub, opened, features, Tuned.model_validate_json(tuned) if tuned else None)
                    function = module.function(hub, features)
            except UserError as error:
                raise UserError(f"hubs.{exec_properties['name']}: {hub.handle}: {error}") from None
            io_utils.copy_dir(source, module_folder([artifact]))
        with fileio.open(f"{artifact.uri}/inspection.json", "w") as file:
            file.write(module.model_dump_json(indent=2))
        artifact.set_string_custom_property("name", exec_properties["name"])
        artifact.set_string_custom_property("handle", hub.handle)
        artifact.set_string_custom_property("sha256", digest)
        artifact.set_string_custom_property("format", module.format)
        artifact.set_string_custom_property("function", function.model_dump_json())
