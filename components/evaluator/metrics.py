"""Metrics of the thresholds, computed by TensorFlow Model Analysis from stored predictions."""

import json
from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2
from tfx_bsl.public import tfxio

from hubline.artifacts.decision import OVERALL, SliceMetrics
from hubline.artifacts.predictions import CANDIDATE, LABEL, SERVING, PredictionsMetadata
from hubline.components.config.evaluation import Evaluation, Threshold
from hubline.components.engine_jobs.pipeline import pipeline_on
from hubline.components.engine_jobs.probe import Places
from hubline.trainer.labels.parts import TRAINING
from hubline.trainer.metric_names import Metric, MetricName

_COUNT = "example_count"


def analyse(
    predictions: str,
    models: Sequence[str],
    evaluation: Evaluation,
    predicted: PredictionsMetadata,
    output: str,
    beam_args: Sequence[str],
) -> list[SliceMetrics]:
    """Computes metrics with TFMA, and leaves its results where its own tools can read them.

    Args:
        predictions: Glob of the TFRecord files of predictions.
        models: `CANDIDATE`, and `SERVING` if its predictions are included.
        evaluation: The metrics, slices and thresholds.
        predicted: Kind of label and classes.
        output: Folder for TFMA's results.
        beam_args: Beam pipeline arguments.

    Returns:
        Metrics over all records, followed by those of each slice, sorted by name.
    """
    # As `tfma.run_model_analysis` does, but for the pipeline, which may run as a job on an engine.
    records = tfxio.TFExampleRecord(predictions, raw_record_column_name=tfma.ARROW_INPUT_COLUMN)
    with pipeline_on(beam_args, "metrics", Places(written=(output,))) as pipeline:
        (
            pipeline
            | "Predictions" >> records.BeamSource()
            | "Metrics"
            >> tfma.ExtractEvaluateAndWriteResults(
                eval_config=eval_config(models, evaluation, predicted),
                display_only_data_location=predictions,
                display_only_file_format="tfrecords",
                output_path=output,
            )
        )
    return sorted(_read(output, models), key=lambda found: (found.slice != OVERALL, found.slice))


def eval_config(models: Sequence[str], evaluation: Evaluation, predicted: PredictionsMetadata) -> config_pb2.EvalConfig:
    """TFMA's configuration."""
    wanted = sorted({*evaluation.metrics, *evaluation.thresholds})
    slices = [config_pb2.SlicingSpec(feature_keys=columns) for columns in evaluation.slices]
    configs = [_metric_config(metric, predicted, evaluation.thresholds.get(metric), slices) for metric in wanted]
    count = config_pb2.MetricConfig(class_name="ExampleCount", config=json.dumps({"name": _COUNT}))
    return config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(name=name, prediction_key=name, label_key=LABEL, is_baseline=name == SERVING)
            for name in models
        ],
        metrics_specs=[
            config_pb2.MetricsSpec(metrics=configs, model_names=models),
            config_pb2.MetricsSpec(metrics=[count], model_names=[CANDIDATE]),
        ],
        slicing_specs=[config_pb2.SlicingSpec(), *slices],
        options=config_pb2.Options(include_default_metrics={"value": False}),
    )


def _metric_config(
    metric: Metric,
    predicted: PredictionsMetadata,
    threshold: Threshold | None,
    slices: Sequence[config_pb2.SlicingSpec],
) -> config_pb2.MetricConfig:
    create = TRAINING.of(predicted.kind).keras_metric
    keras_metric = create(MetricName.parse(metric), predicted.classes, predicted.centre)
    config = config_pb2.MetricConfig(
        class_name=type(keras_metric).__name__,
        module=type(keras_metric).__module__,
        config=json.dumps(keras_metric.get_config()),
    )
    if threshold is not None and (threshold.at_least is not None or threshold.at_most is not None):
        bounds = _bounds(threshold)
        config.threshold.CopyFrom(bounds)
        if threshold.every_slice:
            of_slices = config_pb2.PerSliceMetricThreshold(slicing_specs=slices, threshold=bounds)
            config.per_slice_thresholds.append(of_slices)
    return config


def _bounds(threshold: Threshold) -> config_pb2.MetricThreshold:
    """A threshold's absolute bounds in TFMA's format, so that its tools show the results.

    TFMA accepts bounds relative to a baseline only if it runs the models itself; it computes the differences anyway.
    """
    bounds = config_pb2.MetricThreshold()
    if threshold.at_least is not None:
        bounds.value_threshold.lower_bound.value = threshold.at_least
    if threshold.at_most is not None:
        bounds.value_threshold.upper_bound.value = threshold.at_most
    return bounds


def _read(output: str, models: Sequence[str]) -> Iterator[SliceMetrics]:
    for of_slice in tfma.load_metrics(output):
        values: dict[str, dict[str, float | None]] = {model: {} for model in models}
        for item in of_slice.metric_keys_and_values:
            if not item.key.is_diff:  # the decision computes differences itself
                # TFMA omits the model name if there is only one model.
                value = item.value.double_value.value
                values[item.key.model_name or models[0]][item.key.name] = value if isfinite(value) else None
        count = values[CANDIDATE].pop(_COUNT) or 0.0
        keys = of_slice.slice_key.single_slice_keys
        yield SliceMetrics(
            slice=", ".join(f"{key.column}={_value(key)}" for key in keys) or OVERALL,
            examples=round(count),
            metrics=values[CANDIDATE],
            serving_metrics=values.get(SERVING),
        )


def _value(key: Any) -> str:
    value = getattr(key, key.WhichOneof("kind"))
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
