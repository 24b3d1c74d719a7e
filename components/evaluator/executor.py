"""Evaluator's executor."""

import json
from itertools import chain
from typing import Any

from tfx.types import artifact_utils
from tfx.utils import path_utils

from hubline.artifacts.decision import DECISION, Decision
from hubline.artifacts.embedded_rows import EmbeddedRows
from hubline.artifacts.examples import Manifest
from hubline.artifacts.pins import ServedVersion
from hubline.artifacts.predictions import CANDIDATE, SERVING
from hubline.components.adapters.tfx import bless
from hubline.components.config.evaluation import Evaluation
from hubline.components.engine import EVALUATED, BeamExecutor, Work
from hubline.components.evaluator.baseline import parts_of
from hubline.components.evaluator.constants import TrainingSplit
from hubline.components.evaluator.decide import decide
from hubline.components.evaluator.estimates import estimate
from hubline.components.evaluator.export_checks import export_checks
from hubline.components.evaluator.exported_model import ServingModelError
from hubline.components.evaluator.labels.parts import EVALUATION
from hubline.components.evaluator.labels.reader import Reader
from hubline.components.evaluator.metrics import analyse
from hubline.components.evaluator.predictions import write_predictions
from hubline.components.evaluator.test_split import TestSplit
from hubline.components.input_artifacts import read_schema, split_files
from hubline.core import storage
from hubline.core.config_base import escape, read_sections
from hubline.core.counts import hold
from hubline.preprocessing.columns import parsing_spec
from hubline.preprocessing.config import Label
from hubline.trainer.counts import holding

PREDICTIONS, CLASSES, LABEL = "predictions", "classes.json", "label.json"
"""Names in an evaluation: the folder of predictions, the file with the class names (none for regression), and the file
with the label section of the pipeline file."""

MASKS, FEATURES = "masks", "features.json"
"""For segmentation: the folder with the candidate's masks, in the order of the predictions, and the file with the
features, which determine how images are resized."""


class Executor(BeamExecutor):
    """Predicts, computes metrics with TFMA, and decides."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fills `evaluation` with predictions and TFMA's results, and `blessing` with the decision."""
        config = Evaluation.model_validate_json(exec_properties["evaluation_config"])
        label = read_sections(Label, exec_properties["label"])
        serving = ServedVersion.model_validate_json(exec_properties["serving"]) if exec_properties["serving"] else None
        evaluation_uri = artifact_utils.get_single_uri(output_dict["evaluation"])

        paths = {CANDIDATE: path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"]))}
        if serving:
            paths[SERVING] = serving.path
        storage.make_folder(f"{evaluation_uri}/{PREDICTIONS}")
        if label.masks:
            storage.make_folder(f"{evaluation_uri}/{MASKS}")

        test, training = _test_split(input_dict), _training_split(input_dict)
        metrics = sorted({*config.metrics, *config.thresholds})

        def predict() -> Reader:
            return write_predictions(
                split=test,
                training=training,
                paths=paths,
                label=label,
                label_spec=parsing_spec(read_schema(input_dict["schema"]), label.columns),
                columns=config.sliced_by,
                metrics=metrics,
                output=f"{evaluation_uri}/{PREDICTIONS}/predictions.tfrecord",
                samples=f"{evaluation_uri}/{MASKS}/masks.tfrecord" if label.masks else None,
            )

        with holding({"train": training, "test": test}):
            try:
                reader = predict()
                notes = reader.notes
            except ServingModelError as fault:
                del paths[SERVING]
                reader = predict()
                notes = [f"the serving version cannot be compared, so this model is evaluated alone: {fault}"]
            constants = EVALUATION.of(label.kind).constants(reader, training)
        predicted = reader.predicted
        storage.write_bytes(f"{evaluation_uri}/{CLASSES}", json.dumps(predicted.classes).encode())
        storage.write_bytes(f"{evaluation_uri}/{LABEL}", label.to_property().encode())
        storage.write_bytes(f"{evaluation_uri}/{FEATURES}", exec_properties["features"].encode())
        folder = f"{evaluation_uri}/{PREDICTIONS}"
        size = sum(storage.stat(f"{folder}/{name}").size for name in storage.names(folder))
        # Records are counted, and not files: TFMA spreads them over the workers itself.
        beam_args = self.pipeline_arguments_for(Work(test.count, [size], EVALUATED))
        slices = analyse(
            f"{escape(evaluation_uri)}/{PREDICTIONS}/*", list(paths), config, predicted, evaluation_uri, beam_args
        )
        hold("the predictions for the test split", slices[0].examples, test.count)
        parts = parts_of(label.kind, len(predicted.classes))
        estimates = estimate(
            files=[f"{folder}/{name}" for name in storage.names(folder)],
            examples=slices[0].examples,
            predicted=predicted,
            models=list(paths),
            metrics=sorted({*metrics, *chain(*parts)}),
            constants=constants,
        )
        exports = export_checks(paths[CANDIDATE])
        decision = decide(config, slices, paths.get(SERVING), estimates, parts, notes, exports)
        _bless(artifact_utils.get_single_instance(output_dict["blessing"]), decision)


def _test_split(input_dict: dict) -> TestSplit:
    manifest = Manifest.read(artifact_utils.get_single_uri(input_dict["examples"]))
    rows = EmbeddedRows.read(artifact_utils.get_single_uri(input_dict["rows"]))
    rows.check_against(manifest)
    return TestSplit(
        records=split_files(input_dict["examples"], "test"),
        rows=split_files(input_dict["rows"], "test"),
        count=rows.count("test"),
        undecodable=rows.undecodable("test"),
        recipe=rows.recipe_of("test"),
        largest=max(shard.largest for shard in manifest.of("test")),
        has_images=bool(manifest.images),
        pixels=rows.pixels,
    )


def _training_split(input_dict: dict) -> TrainingSplit:
    rows = EmbeddedRows.read(artifact_utils.get_single_uri(input_dict["rows"]))
    return TrainingSplit(
        records=split_files(input_dict["examples"], "train"),
        rows=split_files(input_dict["rows"], "train"),
        count=rows.count("train"),
        undecodable=rows.undecodable("train"),
    )


def _bless(artifact: Any, decision: Decision) -> None:
    """Writes the decision, and the marker file and property by which TFX's components recognize a blessing."""
    marker = bless(artifact, decision.blessed)
    storage.write_text(f"{artifact.uri}/{marker}", "")
    storage.write_text(f"{artifact.uri}/{DECISION}", decision.model_dump_json(indent=2))
