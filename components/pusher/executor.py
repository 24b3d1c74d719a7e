"""What Pusher does when it runs."""

from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components import storage
from components.artifacts import BLESSED
from components.digest import tree_digest
from components.evaluator.decision import DECISION, Decision
from components.pusher.push import push
from components.pusher.versions import newest_version
from preprocessing.errors import RunError

# The properties by which TFX's own Pusher says where a model went.
DESTINATION, VERSION, PUSHED = "pushed_destination", "pushed_version", "pushed"


class Executor(base_executor.BaseExecutor):
    """Pushes a model, unless it was not blessed or already serves, or nothing is to be pushed."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Says on the `pushed_model` artifact which version serves, and whether this run pushed it.

        Raises:
            RunError: where the model must be blessed and is not.
        """
        model = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"]))
        blessing = artifact_utils.get_single_instance(input_dict["blessing"])
        destination = exec_properties["destination"]

        serving = newest_version(destination)
        blessed = blessing.get_int_custom_property(BLESSED) == 1
        if exec_properties["must_be_blessed"] and not blessed:
            raise RunError(_why_not(blessing.uri))
        pushes = blessed and exec_properties["push"]
        pushed = bool(pushes and not (serving and tree_digest(serving) == tree_digest(model)))
        if pushed:
            serving = push(model, destination)

        artifact = artifact_utils.get_single_instance(output_dict["pushed_model"])
        artifact.set_int_custom_property(PUSHED, int(pushed))
        if serving:
            artifact.set_string_custom_property(DESTINATION, serving)
            artifact.set_string_custom_property(VERSION, serving.rpartition("/")[2])


def _why_not(blessing: str) -> str:
    with storage.open_binary(f"{blessing}/{DECISION}") as file:
        decision = Decision.model_validate_json(file.read())
    reasons = [check.reason for check in decision.checks if not check.passed]
    return "\n".join(["the model is not blessed, and nothing was pushed", *reasons])
