"""Evaluates models with known scores on a test split, as the step Evaluator does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import tensorflow as tf
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from hubline.artifacts.decision import Decision
from hubline.artifacts.embedded_rows import EmbeddedRows, RowFile
from hubline.artifacts.examples import Manifest, Origin, ShardFile
from hubline.artifacts.pins import ServedVersion
from hubline.components.beam import IN_ONE_PROCESS
from hubline.components.config.evaluation import Evaluation, Threshold
from hubline.components.evaluator.executor import Executor as Evaluator
from hubline.core.config_base import dump_sections
from hubline.core.digest import file_digest
from hubline.preprocessing.config import ClassLabel, Features, Label
from hubline.trainer.export_format import HEAD
from hubline.trainer.export_format import RECIPE as RECIPE_FILE
from hubline.trainer.metric_names import Metric
from tests.support import example_data

BEAM = list(IN_ONE_PROCESS)


def artifact(kind, folder: Path):
    folder.mkdir(parents=True, exist_ok=True)
    made = kind()
    made.uri = str(folder)
    return made


class Oracle(tf.Module):
    """An exported model that reads its prediction from a column of the record."""

    def __init__(self, classes: Sequence[str], column: str, threshold: float | None = None) -> None:
        """With a threshold, the model decides on the second class from that score on, in an output `label`."""
        super().__init__()
        self._threshold = threshold
        self._classes = tf.constant(list(classes))
        self._column = column
        self._count = len(classes)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {self._column: tf.io.FixedLenFeature([self._count], tf.float32)}
        scores = tf.io.parse_example(examples, spec)[self._column]
        answer = {"scores": scores, "classes": tf.tile(self._classes[tf.newaxis], [tf.shape(scores)[0], 1])}
        if self._threshold is None:
            return answer
        return answer | {"label": tf.where(scores[:, 1] >= self._threshold, self._classes[1], self._classes[0])}


def save_oracle(
    path: Path, classes: Sequence[str], column: str, recipe: str | None = None, threshold: float | None = None
) -> Path:
    oracle = Oracle(classes, column, threshold)
    tf.saved_model.save(oracle, str(path), signatures={"serving_default": oracle.serve})
    if recipe:
        save_oracle(path / HEAD, classes, "vector")
        (path / RECIPE_FILE).write_text(recipe)
    return path


def write_test_split(folder: Path, records: list[bytes], rows: list[bytes] | None = None, undecodable=()) -> None:
    """Examples and rows, with the metadata of ExampleGen and Embedder."""
    for split in ("train", "test"):  # constants are fitted on the same records
        example_data.write_tfrecord(folder / "examples" / f"Split-{split}" / "data-0.gz", records, "GZIP")
    rows = [item for n, item in enumerate(records) if n not in undecodable] if rows is None else rows
    for split in ("train", "test"):
        example_data.write_tfrecord(folder / "rows" / f"Split-{split}" / "data-0", rows)
    largest = max(map(len, records))
    origins = (Origin(file="data", count=len(records)),)
    shards = tuple(
        ShardFile(
            split=split,
            name="data-0.gz",
            origins=origins,
            largest=largest,
            digest=file_digest(f"{folder}/examples/Split-{split}/data-0.gz"),
        )
        for split in ("train", "test")
    )
    Manifest(shards=shards, images=()).write(str(folder / "examples"))
    files = tuple(
        RowFile(split=split, name="data-0", records=len(records), count=len(rows), undecodable=undecodable)
        for split in ("train", "test")
    )
    EmbeddedRows(files=files, sizes={}, recipe="this one", embedded=("test",), views=1).write(str(folder / "rows"))


def evaluate(
    folder: Path,
    judged: Path,
    candidate: str,
    serving: str | None,
    slices=(),
    label: Label = ClassLabel(kind="class", **{"from": "label"}),  # noqa: B008 - it is frozen
    metrics: tuple[Metric, ...] = ("accuracy", "cross_entropy", "auc", "top_3_accuracy"),
    baseline: Literal["beat", "ignore"] = "ignore",
    **thresholds: Threshold,
) -> Decision:
    config = Evaluation(metrics=metrics, thresholds=thresholds, slices=slices, baseline=baseline)
    return judge(folder, judged, candidate, serving, config, label)


def judge(
    folder: Path,
    judged: Path,
    candidate: str,
    serving: str | None,
    config: Evaluation,
    label: Label,
    features: Features | None = None,
) -> Decision:
    """Evaluator's decision on a model in the folder `judged`, with its outputs in `folder`."""
    outputs = {
        "evaluation": [artifact(standard_artifacts.ModelEvaluation, folder / "evaluation")],
        "blessing": [artifact(standard_artifacts.ModelBlessing, folder / "blessing")],
    }
    examples, rows = (artifact(standard_artifacts.Examples, judged / name) for name in ("examples", "rows"))
    examples.split_names = rows.split_names = '["train", "validation", "test"]'
    pinned = ServedVersion(path=str(judged / serving / "Format-Serving"), digest="") if serving else None
    Evaluator(base_beam_executor.BaseBeamExecutor.Context(BEAM, tmp_dir=f"{folder}/tmp/", unique_id="1")).Do(
        {
            "examples": [examples],
            "rows": [rows],
            "schema": [artifact(standard_artifacts.Schema, judged / "schema")],
            "model": [artifact(standard_artifacts.Model, judged / candidate)],
        },
        outputs,
        {
            "evaluation_config": config.to_property(),
            "label": label.to_property(),
            "features": dump_sections(Features, features or {}),
            "serving": pinned.to_property() if pinned else "",
            "store": f"{folder}/store",
        },
    )
    decision = Decision.model_validate_json((folder / "blessing" / "decision.json").read_text())
    blessed = outputs["blessing"][0].get_int_custom_property("blessed") == 1
    assert blessed == decision.blessed == (folder / "blessing" / "BLESSED").exists()
    assert blessed != (folder / "blessing" / "NOT_BLESSED").exists()
    return decision


def columns(record: bytes) -> dict[str, list]:
    features = tf.train.Example.FromString(record).features.feature
    return {name: list(getattr(feature, feature.WhichOneof("kind")).value) for name, feature in features.items()}
