"""TFX's own taxi example on the records that a run of Hubline ingested: its Transform, and its wide-and-deep model."""

from pathlib import Path
from typing import Any

import tensorflow as tf
from sklearn.metrics import roc_auc_score
from tfx import v1 as tfx
from tfx.examples.chicago_taxi_pipeline import taxi_utils_native_keras as module

from benchmarks.harness import newest
from benchmarks.stock.pipeline import pipeline
from benchmarks.stock.run import run_pipeline
from hubline.pipeline.load import load
from hubline.preprocessing.columns import present

_STEP = 40  # batch size of that module


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """The module's, with empty values for a column that has hardly any, and is therefore missing from the schema of
    some of the trips."""
    hours = inputs["trip_start_hour"]
    empty = tf.SparseTensor(tf.zeros([0, 2], tf.int64), tf.zeros([0], tf.int64), hours.dense_shape)
    return module.preprocessing_fn({"pickup_census_tract": empty, **inputs})


def transform(file: str, root: str, trained: str) -> dict[str, Any]:
    """Runs the stock Transform, as in the templates, on the examples in the root `trained`."""
    return run_pipeline(pipeline("taxi", Path(root), _data_steps(trained)[0]))


def train(file: str, root: str, trained: str) -> dict[str, Any]:
    """Runs the stock Transform and Trainer, with the pipeline file's number of epochs; returns the figure `auc`."""
    config, _ = load(Path(file))
    steps, transform_step = _data_steps(trained)
    examples = newest(trained, "ExampleGen", "examples")
    counts = {split: _count(examples, split) for split in ("train", "validation")}
    trainer = tfx.components.Trainer(
        run_fn=f"{module.__name__}.run_fn",
        examples=transform_step.outputs["transformed_examples"],
        transform_graph=transform_step.outputs["transform_graph"],
        schema=steps[1].outputs["result"],
        train_args=tfx.proto.TrainArgs(splits=["train"], num_steps=counts["train"] * config.training.epochs // _STEP),
        eval_args=tfx.proto.EvalArgs(splits=["validation"], num_steps=counts["validation"] // _STEP),
    )
    answer = run_pipeline(pipeline("taxi", Path(root), [*steps, trainer]))
    model = newest(root, "Trainer", "model") / "Format-Serving"
    return answer | {"figures": {"auc": _auc(model, examples, config.label)}}


def _data_steps(trained: str) -> tuple[list[Any], Any]:
    examples = tfx.dsl.Importer(
        source_uri=str(newest(trained, "ExampleGen", "examples")),
        artifact_type=tfx.types.standard_artifacts.Examples,
        properties={"split_names": '["train", "validation", "test"]'},
    ).with_id("examples")
    schema = tfx.dsl.Importer(
        source_uri=str(newest(trained, "ParsingSchema", "parsing_schema")),  # without shapes, as in that example
        artifact_type=tfx.types.standard_artifacts.Schema,
    ).with_id("schema")
    transform_step = tfx.components.Transform(
        examples=examples.outputs["result"],
        schema=schema.outputs["result"],
        preprocessing_fn=f"{__name__}.preprocessing_fn",
        splits_config=tfx.proto.SplitsConfig(analyze=["train"], transform=["train", "validation", "test"]),
    )
    return [examples, schema, transform_step], transform_step


def _count(examples: Path, split: str) -> int:
    return sum(1 for _ in tf.data.TFRecordDataset(list(map(str, (examples / f"Split-{split}").iterdir()))))


def _auc(model: Path, examples: Path, label: Any) -> float:
    records = list(tf.data.TFRecordDataset(sorted(map(str, (examples / "Split-test").iterdir()))).batch(1000))
    answer = tf.saved_model.load(str(model)).signatures["serving_default"]
    scores = tf.concat([answer(examples=batch)["outputs"][:, 0] for batch in records], axis=0)
    spec = {column: tf.io.VarLenFeature(tf.float32) for column in label.columns}
    parsed = tf.io.parse_example(tf.concat(records, axis=0), spec)
    truth = label.index(lambda column: present(parsed[column]))
    return float(roc_auc_score(truth.numpy(), scores.numpy()))
