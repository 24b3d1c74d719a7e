"""The metrics that thresholds can name, computed by TensorFlow Model Analysis from kept predictions."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import tensorflow_model_analysis as tfma
from apache_beam.options.pipeline_options import PipelineOptions
from tensorflow_model_analysis.proto import config_pb2

from hubline.artifacts.decision import OVERALL, SliceMetrics
from hubline.artifacts.predictions import CANDIDATE, LABEL, SERVING, Predicted
from hubline.components.config.evaluation import Evaluation, Threshold
from hubline.components.evaluator import box_metrics as boxes
from hubline.components.evaluator import classification_metrics as hits
from hubline.components.evaluator import pixel_metrics as pixels
from hubline.components.evaluator import regression_metrics as differences
from hubline.components.evaluator.macro_auc import MacroAUC
from hubline.components.evaluator.r2 import R2
from hubline.trainer.metric_names import Metric

_COUNT = "example_count"


@dataclass(frozen=True)
class _Definition:
    class_name: str
    config: dict[str, Any]
    module: str = ""
    """Where the class is, if not in TFMA or Keras."""
    by_class: bool = False
    """Whether it must know how many classes there are."""
    from_centre: bool = False
    """Whether it must know a number amid those that are true."""


_COUNTED = {"dtype": "float64"}
"""Of Keras' metrics: their default counts in float32, which stops at 2^24."""

_DEFINITIONS: dict[Metric, _Definition] = {
    "accuracy": _Definition("SparseCategoricalAccuracy", _COUNTED),
    "cross_entropy": _Definition("SparseCategoricalCrossentropy", _COUNTED),
    "top_3_accuracy": _Definition(hits.TopAccuracy.__name__, {"k": 3}, hits.__name__),
    "auc": _Definition(MacroAUC.__name__, {}, MacroAUC.__module__, by_class=True),
    "precision": _Definition(hits.MicroPrecision.__name__, {}, hits.__name__),
    "recall": _Definition(hits.MicroRecall.__name__, {}, hits.__name__),
    "f1": _Definition(hits.MicroF1.__name__, {}, hits.__name__),
    "rmse": _Definition(differences.RootMeanSquaredDifference.__name__, {}, differences.__name__),
    "mae": _Definition(differences.MeanAbsoluteDifference.__name__, {}, differences.__name__),
    "r2": _Definition(R2.__name__, {}, R2.__module__, from_centre=True),
}

_SEVERAL = {"several": True}
_OF_SEVERAL: dict[Metric, _Definition] = {
    "f1": _Definition(hits.MicroF1.__name__, _SEVERAL, hits.__name__, by_class=True),
    "macro_f1": _Definition(hits.MacroF1.__name__, _SEVERAL, hits.__name__, by_class=True),
    "precision": _Definition(hits.MicroPrecision.__name__, _SEVERAL, hits.__name__, by_class=True),
    "recall": _Definition(hits.MicroRecall.__name__, _SEVERAL, hits.__name__, by_class=True),
    "auc": _Definition(MacroAUC.__name__, _SEVERAL, MacroAUC.__module__, by_class=True),
    "cross_entropy": _Definition(hits.MeanBinaryCrossEntropy.__name__, _COUNTED, hits.__name__),
    "exact_match": _Definition(hits.AllRight.__name__, {}, hits.__name__, by_class=True),
}
"""Where a record has any number of classes."""

_OF_BOXES: dict[Metric, _Definition] = {
    "mean_iou": _Definition(boxes.MeanBoxIoU.__name__, {}, boxes.__name__),
    "iou_50": _Definition(boxes.MeanBoxIoU.__name__, {"at_least": 0.5}, boxes.__name__),
    "accuracy": _Definition(boxes.AccuracyBesideBox.__name__, _COUNTED, boxes.__name__),
    "cross_entropy": _Definition(boxes.CrossEntropyBesideBox.__name__, _COUNTED, boxes.__name__),
    "auc": _Definition(boxes.MacroAUCBesideBox.__name__, {}, boxes.__name__, by_class=True),
    "top_3_accuracy": _Definition(boxes.TopAccuracyBesideBox.__name__, {"k": 3}, boxes.__name__),
}
"""Where a record has a class and a box."""

_OF_PIXELS: dict[Metric, _Definition] = {
    "mean_iou": _Definition(pixels.MeanPixelIoU.__name__, {}, pixels.__name__, by_class=True),
    "pixel_accuracy": _Definition(pixels.PixelAccuracy.__name__, {}, pixels.__name__, by_class=True),
}
"""Where each pixel of a picture has a class."""


def analyse(
    predictions: str,
    models: Sequence[str],
    evaluation: Evaluation,
    predicted: Predicted,
    output: str,
    beam_args: Sequence[str],
) -> list[SliceMetrics]:
    """Has TFMA compute metrics, and leaves its results where its own tools can read them.

    Args:
        predictions: The TFRecord files of predictions, a glob.
        models: `CANDIDATE`, and `SERVING` where what it says is there too.
        evaluation: What to compute, over which slices, and the thresholds.
        predicted: The classes, and from which score each counts.
        output: The folder for TFMA's results.
        beam_args: Beam's arguments.

    Returns:
        The values over all records, and then over each slice, by its name.
    """
    tfma.run_model_analysis(
        eval_config=eval_config(models, evaluation, predicted),
        data_location=predictions,
        file_format="tfrecords",
        output_path=output,
        pipeline_options=PipelineOptions(list(beam_args)),
    )
    return sorted(_read(output, models), key=lambda found: (found.slice != OVERALL, found.slice))


def eval_config(models: Sequence[str], evaluation: Evaluation, predicted: Predicted) -> config_pb2.EvalConfig:
    """What TFMA is asked for."""
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
    predicted: Predicted,
    threshold: Threshold | None,
    slices: Sequence[config_pb2.SlicingSpec],
) -> config_pb2.MetricConfig:
    definition = _definitions(predicted)[metric]
    told: dict[str, Any] = {"classes": len(predicted.classes)} if definition.by_class else {}
    if definition.from_centre:
        told["centre"] = predicted.centre
    config = config_pb2.MetricConfig(
        class_name=definition.class_name,
        module=definition.module,
        config=json.dumps({"name": metric} | definition.config | told),
    )
    if threshold is not None and (threshold.at_least is not None or threshold.at_most is not None):
        bounds = _bounds(threshold)
        config.threshold.CopyFrom(bounds)
        if threshold.every_slice:
            of_slices = config_pb2.PerSliceMetricThreshold(slicing_specs=slices, threshold=bounds)
            config.per_slice_thresholds.append(of_slices)
    return config


def _definitions(predicted: Predicted) -> dict[Metric, _Definition]:
    of_kind = {"class_and_box": _OF_BOXES, "pixels": _OF_PIXELS, "multilabel": _OF_SEVERAL}
    return of_kind.get(predicted.kind, _DEFINITIONS)


def _bounds(threshold: Threshold) -> config_pb2.MetricThreshold:
    """The fixed bounds of a threshold in TFMA's terms, so that its own tools show how they came out.

    TFMA takes bounds against a baseline only where it runs the models itself; it computes the differences all the same.
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
            if not item.key.is_diff:  # a difference, which the decision takes for itself
                # TFMA leaves the name out where there is one model.
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
