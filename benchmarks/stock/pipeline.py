"""The stock pipeline, in the order and with the names of TFX's templates."""

import math
from pathlib import Path
from typing import Any

import tensorflow_model_analysis as tfma
from tfx import v1 as tfx

from hubline.components.config.splits import HashSplit
from hubline.pipeline.config import PipelineFile
from hubline.preprocessing.feature_columns import image_columns
from hubline.preprocessing.kinds.image import ImageFeature
from hubline.preprocessing.labels.classes import ClassLabel


def create_pipeline(file: PipelineFile, root: Path, serving: Path, records: int) -> tfx.dsl.Pipeline:
    """The stock pipeline for a pipeline file with one image, one hub module and a split by shares.

    Args:
        file: The pipeline file.
        root: Folder for artifacts and metadata.
        serving: Serving folder.
        records: Number of records, which determines the numbers of steps.
    """
    (feature,) = file.features.values()
    (image,) = image_columns(file.features)
    (hub,) = file.hubs.values()
    shares = file.data.split
    assert isinstance(shares, HashSplit) and isinstance(feature, ImageFeature) and isinstance(file.label, ClassLabel)
    assert file.label.classes is not None
    examples, label = Path(file.data.examples), file.label.column
    batch_size, epochs = file.training.batch_size, file.training.epochs
    data_config = {"image": image, "label": label, "size": list(feature.size)}
    model_config = {
        "module": hub.handle,
        "hidden": list(file.model.head.hidden),
        "dropout": file.model.head.dropout,
        "classes": len(file.label.classes),
        "learning_rate": file.training.optimizer.learning_rate,
        "epochs": epochs,
        "batch_size": batch_size,
    }

    def steps(share: int) -> int:
        return math.ceil(records * share / (shares.train + shares.validation + shares.test) / batch_size)

    split = tfx.proto.SplitConfig(
        splits=[
            tfx.proto.SplitConfig.Split(name="train", hash_buckets=shares.train),
            tfx.proto.SplitConfig.Split(name="eval", hash_buckets=shares.validation),
            tfx.proto.SplitConfig.Split(name="test", hash_buckets=shares.test),
        ]
    )
    example_gen = tfx.components.ImportExampleGen(
        input_base=str(examples.parent),
        input_config=tfx.proto.Input(splits=[tfx.proto.Input.Split(name="input", pattern=examples.name)]),
        output_config=tfx.proto.Output(split_config=split),
    )
    statistics_gen = tfx.components.StatisticsGen(examples=example_gen.outputs["examples"])
    schema_gen = tfx.components.SchemaGen(statistics=statistics_gen.outputs["statistics"])
    example_validator = tfx.components.ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )
    transform = tfx.components.Transform(
        examples=example_gen.outputs["examples"],
        schema=schema_gen.outputs["schema"],
        preprocessing_fn="benchmarks.stock.preprocessing.preprocessing_fn",
        custom_config=data_config,
    )
    trainer = tfx.components.Trainer(
        run_fn="benchmarks.stock.model.run_fn",
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema_gen.outputs["schema"],
        train_args=tfx.proto.TrainArgs(splits=["train"], num_steps=steps(shares.train) * epochs),
        eval_args=tfx.proto.EvalArgs(splits=["eval"], num_steps=steps(shares.validation)),
        custom_config=data_config | model_config,
    )
    model_resolver = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
    ).with_id("latest_blessed_model_resolver")
    evaluator = tfx.components.Evaluator(
        examples=example_gen.outputs["examples"],
        example_splits=["test"],
        model=trainer.outputs["model"],
        baseline_model=model_resolver.outputs["model"],
        eval_config=eval_config(file),
    )
    pusher = tfx.components.Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=str(serving))
        ),
    )
    components = [
        example_gen,
        statistics_gen,
        schema_gen,
        example_validator,
        transform,
        trainer,
        model_resolver,
        evaluator,
        pusher,
    ]
    return pipeline(file.name, root, components)


def evaluation_pipeline(file: PipelineFile, root: Path, examples: Path, model: Path) -> tfx.dsl.Pipeline:
    """The stock Evaluator alone, on the artifacts of a run of Hubline; the model is both candidate and baseline.

    Args:
        file: The pipeline file.
        root: Folder for artifacts and metadata.
        examples: The Examples artifact, whose split `test` is evaluated.
        model: The Model artifact; its signature `serving_default` is called.
    """
    imported_examples = tfx.dsl.Importer(
        source_uri=str(examples),
        artifact_type=tfx.types.standard_artifacts.Examples,
        properties={"split_names": '["train", "validation", "test"]'},
    ).with_id("examples")
    imported_model = tfx.dsl.Importer(source_uri=str(model), artifact_type=tfx.types.standard_artifacts.Model).with_id(
        "model"
    )
    evaluator = tfx.components.Evaluator(
        examples=imported_examples.outputs["result"],
        example_splits=["test"],
        model=imported_model.outputs["result"],
        baseline_model=imported_model.outputs["result"],
        eval_config=eval_config(file, prediction_key="scores"),
    )
    return pipeline(file.name, root, [imported_examples, imported_model, evaluator])


def pipeline(name: str, root: Path, components: list[Any]) -> tfx.dsl.Pipeline:
    """A pipeline of components, as in the templates."""
    return tfx.dsl.Pipeline(
        pipeline_name=name,
        pipeline_root=str(root / "artifacts"),
        components=components,
        enable_cache=True,
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(root / "metadata.db")
        ),
    )


def eval_config(file: PipelineFile, prediction_key: str = "") -> tfma.EvalConfig:
    """TFMA's configuration for the metrics, slices and thresholds of a pipeline file, computed through the model.

    Args:
        file: The pipeline file.
        prediction_key: Name of the output with the scores, if there are several outputs.
    """
    assert file.label.classes is not None
    threshold = file.evaluation.thresholds["accuracy"]
    accuracy = tfma.MetricConfig(
        class_name="SparseCategoricalAccuracy",
        threshold=tfma.MetricThreshold(
            value_threshold=tfma.GenericValueThreshold(lower_bound={"value": threshold.at_least or 0.0}),
            change_threshold=tfma.GenericChangeThreshold(
                direction=tfma.MetricDirection.HIGHER_IS_BETTER,
                absolute={"value": -(threshold.no_worse_than_serving_by or 1e-10)},
            ),
        ),
    )
    cross_entropy = tfma.MetricConfig(class_name="SparseCategoricalCrossentropy")
    class_ids = list(range(len(file.label.classes)))
    by_class = tfma.MetricsSpec(
        metrics=[tfma.MetricConfig(class_name="AUC")],
        binarize=tfma.BinarizationOptions(class_ids={"values": class_ids}),
        aggregate=tfma.AggregationOptions(macro_average=True, class_weights=dict.fromkeys(class_ids, 1.0)),
    )
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(signature_name="serving_default", label_key=file.label.column, prediction_key=prediction_key)
        ],
        slicing_specs=[
            tfma.SlicingSpec(),
            *(tfma.SlicingSpec(feature_keys=columns) for columns in file.evaluation.slices),
        ],
        metrics_specs=[
            tfma.MetricsSpec(metrics=[accuracy, cross_entropy]),
            *([by_class] if "auc" in file.evaluation.metrics else []),
        ],
    )
