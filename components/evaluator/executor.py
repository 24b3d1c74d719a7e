"""What Evaluator does when it runs."""

from typing import Any

import tensorflow as tf
from tfx.components.evaluator import constants
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils

from components.artifacts import read_schema, split_files
from components.config import Evaluation
from components.evaluator.decision import DECISION, Decision, decide
from components.evaluator.metrics import CANDIDATE, SERVING, analyse
from components.evaluator.predictions import ServedModel, write_predictions
from components.example_gen.blame import undecodable
from components.example_gen.manifest import Manifest
from components.pin.pins import ServedVersion
from preprocessing.columns import parsing_spec
from preprocessing.config import Label
from preprocessing.section import read_sections


class Executor(base_beam_executor.BaseBeamExecutor):
    """Predicts, has TFMA compute the metrics, decides."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fills `evaluation` with predictions and TFMA's results, `blessing` with the decision."""
        config = Evaluation.model_validate_json(exec_properties["evaluation_config"])
        label = read_sections(Label, exec_properties["label"])
        serving = ServedVersion.model_validate_json(exec_properties["serving"]) if exec_properties["serving"] else None
        evaluation_uri = artifact_utils.get_single_uri(output_dict["evaluation"])

        models = {
            CANDIDATE: ServedModel(path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"])))
        }
        if serving:
            models[SERVING] = ServedModel(serving.path)
        predictions = f"{evaluation_uri}/predictions.tfrecord.gz"
        fileio.makedirs(evaluation_uri)
        try:
            present = write_predictions(
                files=split_files(input_dict["examples"], "test"),
                models=models,
                label=label,
                spec=parsing_spec(read_schema(input_dict["schema"]), [label.column]),
                batch_size=config.batch_size,
                output=predictions,
            )
        except tf.errors.InvalidArgumentError as error:
            raise undecodable(Manifest.read(artifact_utils.get_single_uri(input_dict["examples"]))) or error from error
        wanted = sorted({*config.metrics, *config.thresholds})
        beam_args = self._beam_pipeline_args or []
        metrics = analyse(predictions, list(models), wanted, present, evaluation_uri, beam_args)
        decision = decide(
            config.thresholds, metrics[CANDIDATE], metrics.get(SERVING), serving.path if serving else None
        )
        _bless(artifact_utils.get_single_instance(output_dict["blessing"]), decision)


def _bless(artifact: Any, decision: Decision) -> None:
    """Writes the decision, and the marker and property that TFX's own components know a blessing by."""
    marker = constants.BLESSED_FILE_NAME if decision.blessed else constants.NOT_BLESSED_FILE_NAME
    io_utils.write_string_file(f"{artifact.uri}/{marker}", "")
    io_utils.write_string_file(f"{artifact.uri}/{DECISION}", decision.model_dump_json(indent=2))
    artifact.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, int(decision.blessed))
