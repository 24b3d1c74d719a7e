"""The splits that the Evaluator reads, as a whole and shard by shard."""

from collections.abc import Iterator
from typing import Any

from tfx.types import artifact_utils

from hubline.artifacts.embedded_rows import EmbeddedRows
from hubline.artifacts.examples import Manifest
from hubline.artifacts.pins import ServedVersion
from hubline.artifacts.predictions import SERVING
from hubline.components.evaluator import predictions as predictions_of_shard
from hubline.components.evaluator.constants import TrainingSplit
from hubline.components.evaluator.predictions import PredictionTask, PredictShard
from hubline.components.evaluator.test_split import TestSplit
from hubline.components.input_artifacts import split_files
from hubline.components.spread.stage import Stage
from hubline.components.spread.weights import HEADS, PREDICTED
from hubline.core.code_digest import content_digest
from hubline.core.digest import tree_digest
from hubline.core.shard_cache import key


def test_split(input_dict: dict) -> TestSplit:
    """The test split.

    Raises:
        DamageError: if records have no row without being known as undecodable.
    """
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
        has_images=bool(manifest.images or manifest.sounds),
        pixels=rows.pixels,
    )


def training_split(input_dict: dict) -> TrainingSplit:
    """The training split."""
    rows = EmbeddedRows.read(artifact_utils.get_single_uri(input_dict["rows"]))
    return TrainingSplit(
        records=split_files(input_dict["examples"], "train"),
        rows=split_files(input_dict["rows"], "train"),
        count=rows.count("train"),
        undecodable=rows.undecodable("train"),
    )


def prediction_stage(input_dict: dict, exec_properties: dict[str, Any], predict: PredictShard) -> Stage[PredictionTask]:
    """The predictions on the shards of the test split that have rows."""
    code = content_digest(predictions_of_shard.__name__, "tensorflow")
    models = {name: _digest(name, path, exec_properties) for name, path in predict.paths.items()}
    facts = [predict.facts.predicted.classes, predict.facts.predicted.centre, dict(predict.facts.known)]
    made_by = [models, predict.heads, exec_properties["label"], facts, predict.columns, code]
    reads_records = len(predict.heads) < len(models)
    return Stage(
        name="predictions",
        unit="records",
        tasks=list(_tasks(input_dict, made_by, reads_records)),
        fill=predict,
        store=exec_properties["store"],
        weight=PREDICTED if reads_records else HEADS,
        runs_models=reads_records,
    )


def _tasks(input_dict: dict, made_by: list[Any], reads_records: bool) -> Iterator[PredictionTask]:
    manifest = Manifest.read(artifact_utils.get_single_uri(input_dict["examples"]))
    rows = EmbeddedRows.read(artifact_utils.get_single_uri(input_dict["rows"]))
    records_folder, rows_folder = (
        artifact_utils.get_split_uri(input_dict[name], "test") for name in ("examples", "rows")
    )
    first = 0
    for shard, file in zip(manifest.of("test"), rows.of("test"), strict=True):
        if file.count:
            split = TestSplit(
                records=[f"{records_folder}/{shard.name}"],
                rows=[f"{rows_folder}/{file.name}"],
                count=file.count,
                undecodable=file.undecodable,
                recipe=rows.recipe_of("test"),
                largest=shard.largest,
                has_images=bool(manifest.images or manifest.sounds),
                pixels=rows.pixels,
                first=first,
            )
            of_shard = [shard.digest, split.recipe, file.undecodable, first]
            yield PredictionTask(split, key("evaluated", made_by, of_shard), reads_records)
        first += file.records


def _digest(name: str, path: str, exec_properties: dict[str, Any]) -> str:
    """Digest of a model, which `pin` has found for the serving version."""
    known = name == SERVING and ServedVersion.model_validate_json(exec_properties["serving"]).digest
    return known or tree_digest(path)
