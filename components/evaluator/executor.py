"""Evaluator's executor."""

import json
from collections import defaultdict
from collections.abc import Mapping
from itertools import chain
from typing import Any

from tfx.types import artifact_utils
from tfx.utils import path_utils

from hubline.artifacts.decision import DECISION, Decision
from hubline.artifacts.pins import ServedVersion
from hubline.artifacts.predictions import CANDIDATE, SERVING
from hubline.components.adapters.tfx import bless
from hubline.components.config.evaluation import Evaluation
from hubline.components.engine import Work
from hubline.components.evaluator.baseline import parts_of
from hubline.components.evaluator.decide import decide
from hubline.components.evaluator.estimates import estimate
from hubline.components.evaluator.export_checks import export_checks
from hubline.components.evaluator.exported_model import ServingModelError
from hubline.components.evaluator.labels.parts import EVALUATION
from hubline.components.evaluator.labels.reader import Reader
from hubline.components.evaluator.metrics import analyse
from hubline.components.evaluator.predictions import (
    MASKS,
    PREDICTIONS,
    SEEN,
    PredictionTask,
    PredictShard,
    Seen,
    predictor,
)
from hubline.components.evaluator.shards import prediction_stage, test_split, training_split
from hubline.components.input_artifacts import read_schema
from hubline.components.spread.executor import StageExecutor
from hubline.components.spread.stage import Stage
from hubline.components.spread.weights import EVALUATED
from hubline.core import storage
from hubline.core.config_base import escape, read_sections
from hubline.core.counts import hold
from hubline.core.errors import UserError
from hubline.core.progress import note
from hubline.core.shard_cache import ShardCache
from hubline.preprocessing.columns import parsing_spec
from hubline.preprocessing.config import Label
from hubline.trainer.counts import holding
from hubline.trainer.metric_names import class_faults

CLASSES, LABEL, FEATURES = "classes.json", "label.json", "features.json"
"""Names in an evaluation, besides the folders `PREDICTIONS` and `MASKS`: the files with the class names (none for
regression), with the label section of the pipeline file, and, for segmentation, with the features, which determine how
images are resized."""


class Executor(StageExecutor):
    """Predicts, computes metrics with TFMA, and decides."""

    def stage(self, input_dict: dict, exec_properties: dict[str, Any]) -> Stage[PredictionTask]:
        """The predictions on the shards of the test split, by both models if they can be compared."""
        paths = _paths(input_dict, exec_properties)
        try:
            predict = _predictor(input_dict, exec_properties, paths)
        except ServingModelError:
            predict = _predictor(input_dict, exec_properties, {CANDIDATE: paths[CANDIDATE]})
        return prediction_stage(input_dict, exec_properties, predict)

    def run_share(self, stage: Stage[Any]) -> None:
        """Does a share of the predictions. If the serving version fails on one of them, the step itself decides."""
        try:
            super().run_share(stage)
        except ServingModelError as fault:
            note(f"the serving version cannot be compared: {fault}")

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fills `evaluation` with predictions and TFMA's results, and `blessing` with the decision."""
        config = Evaluation.model_validate_json(exec_properties["evaluation_config"])
        label = read_sections(Label, exec_properties["label"])
        evaluation_uri = artifact_utils.get_single_uri(output_dict["evaluation"])
        paths = _paths(input_dict, exec_properties)
        test, training = test_split(input_dict), training_split(input_dict)
        metrics = sorted({*config.metrics, *config.thresholds})
        with holding({"train": training, "test": test}):
            try:
                reader, notes = self._predict(input_dict, exec_properties, paths, evaluation_uri)
            except ServingModelError as fault:
                del paths[SERVING]
                reader, _ = self._predict(input_dict, exec_properties, paths, evaluation_uri)
                notes = [f"the serving version cannot be compared, so this model is evaluated alone: {fault}"]
            constants = EVALUATION.of(label.kind).constants(reader, training)
        predicted = reader.predicted
        storage.write_bytes(f"{evaluation_uri}/{CLASSES}", json.dumps(predicted.classes).encode())
        storage.write_bytes(f"{evaluation_uri}/{LABEL}", label.to_property().encode())
        storage.write_bytes(f"{evaluation_uri}/{FEATURES}", exec_properties["features"].encode())
        folder = f"{evaluation_uri}/{PREDICTIONS}"
        files = [f"{folder}/{name}" for name in storage.names(folder)]
        # Records are counted, and not files: TFMA spreads them over the workers itself.
        sizes = (storage.stat(file).size for file in files)
        beam_args = self.pipeline_arguments_for(Work(test.count, sizes, EVALUATED))
        slices = analyse(
            f"{escape(evaluation_uri)}/{PREDICTIONS}/*", list(paths), config, predicted, evaluation_uri, beam_args
        )
        hold("the predictions for the test split", slices[0].examples, test.count)
        parts = parts_of(label.kind, len(predicted.classes))
        estimates = estimate(
            files=files,
            examples=slices[0].examples,
            predicted=predicted,
            models=list(paths),
            metrics=sorted({*metrics, *chain(*parts)}),
            constants=constants,
        )
        exports = export_checks(paths[CANDIDATE])
        decision = decide(config, slices, paths.get(SERVING), estimates, parts, notes, exports)
        _bless(artifact_utils.get_single_instance(output_dict["blessing"]), decision)

    def _predict(
        self, input_dict: dict, exec_properties: dict[str, Any], paths: Mapping[str, str], evaluation_uri: str
    ) -> tuple[Reader, list[str]]:
        """Predicts on all shards, and puts the predictions into the artifact in the order of the records.

        Returns:
            The reader of the label, and sentences on differences between the models.
        """
        predict = _predictor(input_dict, exec_properties, paths)
        stage = prediction_stage(input_dict, exec_properties, predict)
        self.run_stage(stage)
        cache, total = ShardCache(stage.store), len(stage.tasks)
        seen: dict[str, float] = defaultdict(float)
        for number, task in enumerate(stage.tasks):
            made = cache.found(task.key, task.name)
            for name in (PREDICTIONS, *([MASKS] if predict.label.masks else [])):
                storage.link(f"{made}/{name}", f"{evaluation_uri}/{name}/{name}-{number:05d}-of-{total:05d}.tfrecord")
            with storage.open_binary(f"{made}/{SEEN}") as file:
                for model, value in Seen.model_validate_json(file.read()).sums.items():
                    seen[model] += value
        records = sum(task.count for task in stage.tasks)
        return predict.reader, predict.reader.notes({name: value / records for name, value in seen.items()})


def _paths(input_dict: dict, exec_properties: dict[str, Any]) -> dict[str, str]:
    """The models by the column for their predictions."""
    paths = {CANDIDATE: path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"]))}
    if exec_properties["serving"]:
        paths[SERVING] = ServedVersion.model_validate_json(exec_properties["serving"]).path
    return paths


def _predictor(input_dict: dict, exec_properties: dict[str, Any], paths: Mapping[str, str]) -> PredictShard:
    """Loads and verifies the models.

    Raises:
        UserError: as `predictor` does, or if a metric does not exist for the classes.
        ServingModelError: if the serving version cannot be compared with.
    """
    config = Evaluation.model_validate_json(exec_properties["evaluation_config"])
    label = read_sections(Label, exec_properties["label"])
    predict = predictor(
        split=test_split(input_dict),
        training=training_split(input_dict),
        paths=paths,
        label=label,
        label_spec=parsing_spec(read_schema(input_dict["schema"]), label.columns),
        columns=tuple(config.sliced_by),
    )
    classes = predict.facts.predicted.classes
    if faults := class_faults(sorted({*config.metrics, *config.thresholds}), classes):
        raise UserError("\n".join(f"evaluation: {fault}" for fault in faults))
    return predict


def _bless(artifact: Any, decision: Decision) -> None:
    """Writes the decision, and the marker file and property by which TFX's components recognize a blessing."""
    marker = bless(artifact, decision.blessed)
    storage.write_text(f"{artifact.uri}/{marker}", "")
    storage.write_text(f"{artifact.uri}/{DECISION}", decision.model_dump_json(indent=2))
