"""ServingCheck's executor."""

from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from hubline.components.adapters.tfx import bless_serving
from hubline.core import storage
from hubline.core.progress import note
from hubline.serving.check.check import check
from hubline.serving.check.config import ServingCheck
from hubline.trainer.reference import FILE, Reference


class Executor(base_executor.BaseExecutor):
    """Serves the exported model in a process of its own, and asks it what the trained model was asked."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fills `serving_check` with the result. A model that fails is told there: Pusher doesn't push it."""
        model = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"]))
        reference = Reference.read(f"{artifact_utils.get_single_uri(input_dict['model_run'])}/{FILE}")
        result = check(model, reference, ServingCheck.model_validate_json(exec_properties["check"]))
        for fault in result.faults:
            note(fault)
        artifact = artifact_utils.get_single_instance(output_dict["serving_check"])
        result.write(artifact.uri)
        storage.write_text(f"{artifact.uri}/{bless_serving(artifact, result.passed)}", "")
