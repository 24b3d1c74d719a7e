"""KServe's executor."""

from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from hubline.artifacts.delivery import DESTINATION, VERSION
from hubline.components.config.serving import InferenceService
from hubline.components.kserve.inference_service import OwnedFields, connect
from hubline.components.kserve.roll_out import roll_out
from hubline.core.digest import tree_digest
from hubline.serving.push import copy_once

URL, REVISION, STORAGE_URI, PERCENT = "url", "revision", "storage_uri", "percent"


class Executor(base_executor.BaseExecutor):
    """Rolls out the pushed version to an InferenceService; does nothing if no version serves."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Records on `inference_service` the served model, its URL and its traffic percentage.

        Raises:
            RunError: if the service does not become ready, after rolling back; or if the cluster can't be reached, or
                refuses.
            UserError: if the model can't be copied, or there is no cluster.
        """
        pushed = artifact_utils.get_single_instance(input_dict["pushed_model"])
        model, version = (pushed.get_string_custom_property(name) for name in (DESTINATION, VERSION))
        if not model:
            return
        config = InferenceService.model_validate_json(exec_properties["service"])
        # The digest, because a recreated serving folder starts with version 1 again, and a new model needs a new URI.
        folder = f"{version}-{tree_digest(model)[:12]}"
        copy_once(model, f"{config.models}/{folder}/{version}")

        uri = f"{(config.storage_uri or config.models).rstrip('/')}/{folder}"
        wanted = OwnedFields(
            storage_uri=uri, canary_percent=config.canary_percent, service_account=config.service_account
        )
        state = f"{config.models}/{config.namespace}.{config.name}.json"
        with connect(config) as services:
            service = roll_out(services, wanted, state, config.timeout_seconds)
        artifact = artifact_utils.get_single_instance(output_dict["inference_service"])
        artifact.set_string_custom_property(STORAGE_URI, service.ours.storage_uri)
        artifact.set_int_custom_property(PERCENT, service.ours.percent)
        artifact.set_string_custom_property(URL, service.url)
        artifact.set_string_custom_property(REVISION, service.ready_revision)
