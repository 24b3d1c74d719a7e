"""The metrics that thresholds can name, computed by TensorFlow Model Analysis from kept predictions."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import tensorflow_model_analysis as tfma
from apache_beam.options.pipeline_options import PipelineOptions
from tensorflow_model_analysis.proto import config_pb2

from components.config import Metric
from components.evaluator.predictions import LABEL

CANDIDATE, SERVING = "candidate", "serving"
"""The names of the two models, and of the columns that hold their scores."""


@dataclass(frozen=True)
class _Definition:
    class_name: str
    config: dict
    one_against_rest: bool = False
    """Whether it is a metric of two classes, taken for each class against the others and averaged."""


_DEFINITIONS: dict[Metric, _Definition] = {
    "accuracy": _Definition("SparseCategoricalAccuracy", {}),
    "cross_entropy": _Definition("SparseCategoricalCrossentropy", {}),
    "top_3_accuracy": _Definition("SparseTopKCategoricalAccuracy", {"k": 3}),
    "auc": _Definition("AUC", {}, one_against_rest=True),
}


def analyse(
    predictions: str,
    models: Sequence[str],
    metrics: Iterable[Metric],
    present: Sequence[int],
    output: str,
    beam_args: Sequence[str],
) -> dict[str, dict[str, float]]:
    """Has TFMA compute metrics, and leaves its results where its own tools can read them.

    Args:
        predictions: The GZIP TFRecord file of predictions.
        models: `CANDIDATE`, and `SERVING` where its scores are there too.
        metrics: What to compute.
        present: The indices of the classes that the records have. A metric of one class against the rest says nothing
            of any other.
        output: The folder for TFMA's results.
        beam_args: Beam's arguments.

    Returns:
        By model, by metric, the value over all records.
    """
    tfma.run_model_analysis(
        eval_config=eval_config(models, metrics, present),
        data_location=predictions,
        file_format="tfrecords",
        output_path=output,
        pipeline_options=PipelineOptions(list(beam_args)),
    )
    return _overall(output, models)


def eval_config(models: Sequence[str], metrics: Iterable[Metric], present: Sequence[int]) -> config_pb2.EvalConfig:
    """What TFMA is asked for."""
    plain = [metric for metric in metrics if not _DEFINITIONS[metric].one_against_rest]
    binary = [metric for metric in metrics if _DEFINITIONS[metric].one_against_rest]
    specs = []
    if plain:
        specs.append(config_pb2.MetricsSpec(metrics=map(_metric_config, plain), model_names=models))
    if binary:
        specs.append(
            config_pb2.MetricsSpec(
                metrics=map(_metric_config, binary),
                model_names=models,
                binarize=config_pb2.BinarizationOptions(class_ids={"values": present}),
                aggregate=config_pb2.AggregationOptions(macro_average=True, class_weights=dict.fromkeys(present, 1.0)),
            )
        )
    return config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(name=name, prediction_key=name, label_key=LABEL, is_baseline=name == SERVING)
            for name in models
        ],
        metrics_specs=specs,
        slicing_specs=[config_pb2.SlicingSpec()],
        options=config_pb2.Options(include_default_metrics={"value": False}),
    )


def _metric_config(metric: Metric) -> config_pb2.MetricConfig:
    definition = _DEFINITIONS[metric]
    return config_pb2.MetricConfig(
        class_name=definition.class_name, config=json.dumps({"name": metric} | definition.config)
    )


def _overall(output: str, models: Sequence[str]) -> dict[str, dict[str, float]]:
    values: dict[str, dict[str, float]] = {model: {} for model in models}
    for of_slice in tfma.load_metrics(output):
        for item in of_slice.metric_keys_and_values:
            if item.key.HasField("sub_key") or item.key.is_diff:
                continue  # of one class only, or a difference, which the decision takes for itself
            # TFMA leaves the name out where there is one model.
            values[item.key.model_name or models[0]][item.key.name] = item.value.double_value.value
    return values
