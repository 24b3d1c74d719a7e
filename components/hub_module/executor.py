"""HubModule's executor."""

import logging
import tempfile
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from hubline.artifacts.names import TRIED_FILE
from hubline.components.hub_module.fetch import fetch
from hubline.components.hub_module.recognise import check_whole
from hubline.components.input_artifacts import module_folder
from hubline.components.predictor.hub_call import HubCall
from hubline.components.predictor.input_binding import call_with
from hubline.core import storage
from hubline.core.config_base import read_sections
from hubline.core.errors import UserError
from hubline.preprocessing.module_features import ModuleFeatures, ModuleFeaturesToInfer
from hubline.trainer.augment_hub import try_out_changing
from hubline.trainer.config.hubs import Hub
from hubline.trainer.config.model import VariableSelection
from hubline.trainer.hub_layer import try_out
from hubline.trainer.hub_trial import TrialResult
from hubline.trainer.module_fit import check_fits, fitting_function
from hubline.trainer.pretrained import WORDS, of_words
from hubline.trainer.reaching_operations import refuse_reaching
from hubline.trainer.rows import try_rows
from hubline.trainer.saved_model_loader import read_saved_model
from hubline.trainer.tf1.module import open_to_train


class Executor(base_executor.BaseExecutor):
    """Fetches, verifies, inspects and stores one module."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fills the `model` artifact: the SavedModel in `module/`, its signatures in `inspection.json`, and in
        `tried.json` how its outputs map to the examples of a batch."""
        hub = Hub.model_validate_json(exec_properties["hub"])
        kinds = ModuleFeaturesToInfer if exec_properties["infers"] else ModuleFeatures
        features = read_sections(kinds, exec_properties["features"])
        if not hub.inputs:
            hub, features = of_words(hub), WORDS
        artifact = artifact_utils.get_single_instance(output_dict["model"])
        with tempfile.TemporaryDirectory() as folder:
            source, digest = fetch(hub.handle, hub.sha256, folder)
            saved = read_saved_model(source)
            check_whole(hub.handle, source, bool(saved.variables))
            tuned = (
                VariableSelection.model_validate_json(exec_properties["tuned"]) if exec_properties["tuned"] else None
            )
            try:
                refuse_reaching(saved, hub.allow_operations)
                opened = open_to_train(source, tuned)
                module = opened.offer
                if exec_properties["infers"]:
                    call = call_with(module, hub, features)
                    function, tried = call.function, HubCall(opened, hub, call).tried()
                elif hub.role == "augment":
                    try_out_changing(hub, opened, features)
                    function, tried = module.functions(hub)[0], TrialResult()
                else:
                    check_fits(module, hub, features)
                    try_out(hub, opened, features, tuned)
                    tried = try_rows(hub, opened, features)
                    function = fitting_function(module, hub, features)
            except UserError as error:
                raise UserError(f"hubs.{exec_properties['name']}: {hub.handle}: {error}") from None
            storage.copy_tree(source, module_folder([artifact]))
        storage.write_text(f"{artifact.uri}/inspection.json", module.model_dump_json(indent=2))
        storage.write_bytes(f"{artifact.uri}/{TRIED_FILE}", tried.to_property().encode())
        for warning in tried.warnings:
            logging.warning("hubs.%s: %s", exec_properties["name"], warning)
        artifact.set_string_custom_property("name", exec_properties["name"])
        artifact.set_string_custom_property("handle", hub.handle)
        artifact.set_string_custom_property("sha256", digest)
        artifact.set_string_custom_property("format", module.format)
        artifact.set_string_custom_property("function", function.model_dump_json())
