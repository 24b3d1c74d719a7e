"""Which steps' cache keys, and which cached shards, follow a change of a module."""

from typing import get_args

import pytest

from hubline.components.evaluator import predictions
from hubline.components.example_gen import small_files
from hubline.components.predictor import batch_predict, exported_model, hub_model
from hubline.components.statistics_gen import shard as statistics_shard
from hubline.components.steps import STEPS
from hubline.components.transform import shard as transform_shard
from hubline.core.code_digest import PLUMBING, module_digests
from hubline.preprocessing.config import Feature, Label
from hubline.preprocessing.module_features import ModuleFeatures
from hubline.trainer import embed

KEYS = {step.name: step.executor.rpartition(".")[0] for step in STEPS if step.is_cached_on_code}
SHARDS = {
    "ExampleGen": [small_files.__name__],
    "StatisticsGen": [statistics_shard.__name__],
    "Transform": [transform_shard.__name__],
    "Embedder": [embed.__name__],
    "Evaluator": [predictions.__name__],
    "Predictor": [batch_predict.__name__, exported_model.__name__, hub_model.__name__],
}
MODULES = {"HubModule", "Backbone", "Embedder", "Predictor"}
"""Steps that run hub modules or other backbones by themselves, outside the trained model."""
RUNNING = {"Embedder", "Predictor"}
"""Those of them that keep a module's outputs for each shard."""
TRAINING = {"Tuner", "Trainer"}
LEARNING = TRAINING | {"Evaluator"}
RECORDS = {"Transform", "Dashboard"} | LEARNING
"""Steps that read features and labels from records."""


def following(module: str) -> set[str]:
    """Steps whose cache key changes with a module."""
    return {step for step, executor in KEYS.items() if f"hubline.{module}" in module_digests(executor, frozenset())}


def recomputing(module: str) -> set[str]:
    """Steps that recompute their shards after a change of a module."""
    return {
        step
        for step, computing in SHARDS.items()
        if any(f"hubline.{module}" in module_digests(each, PLUMBING) for each in computing)
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("edited", "steps", "shards"),
    [
        ("components.config.data", set(), set()),
        ("components.config.splits", {"ExampleGen"}, {"ExampleGen"}),
        ("components.config.bad_records", {"ExampleGen", "Embedder", "Predictor"}, set()),
        ("components.config.drift", {"ExampleValidator"}, set()),
        ("components.config.serving", {"KServe"}, set()),
        ("components.config.predictions", {"Predictor"}, set()),
        ("components.example_gen.rules.boxes", {"ExampleGen"}, {"ExampleGen"}),
        ("components.example_gen.label_contracts", set(), set()),
        ("components.statistics_gen.shard", {"StatisticsGen"}, {"StatisticsGen"}),
        ("components.evaluator.labels.classes", {"Evaluator"}, {"Evaluator"}),
        ("components.dashboard.executor", {"Dashboard"}, set()),
        ("components.predictor.exported_model", {"Predictor"}, {"Predictor"}),
        ("components.predictor.executor", {"Predictor"}, set()),
        ("preprocessing.kinds.audio", RECORDS | MODULES, {"Transform", "Evaluator"} | RUNNING),
        ("preprocessing.kinds.crossed", RECORDS, {"Transform", "Evaluator"}),
        ("preprocessing.kinds.dates", RECORDS, {"Transform", "Evaluator"}),
        ("preprocessing.kinds.image", RECORDS | MODULES, {"Transform", "Evaluator"} | RUNNING),
        ("preprocessing.kinds.numeric", RECORDS | MODULES, {"Transform", "Evaluator"} | RUNNING),
        (
            "preprocessing.kinds.stored_pixels",
            {"ExampleGen"} | RECORDS | MODULES,
            {"ExampleGen", "Transform", "Evaluator"} | RUNNING,
        ),
        ("preprocessing.kinds.text", RECORDS | MODULES, {"Transform", "Evaluator"} | RUNNING),
        ("preprocessing.kinds.video", RECORDS | MODULES, {"Transform", "Evaluator"} | RUNNING),
        ("preprocessing.labels.regression", RECORDS, {"Transform", "Evaluator"}),
        ("preprocessing.labels.pixels", RECORDS | MODULES, {"Transform", "Evaluator"} | RUNNING),
        ("preprocessing.accumulators", {"Transform"}, {"Transform"}),
        (
            "preprocessing.encoded_images",
            {"ExampleGen"} | RECORDS | MODULES,
            {"ExampleGen", "Transform", "Evaluator"} | RUNNING,
        ),
        ("trainer.labels.multilabel", LEARNING, set()),
        ("trainer.fit", TRAINING, set()),
        ("trainer.phases", TRAINING, set()),
        ("trainer.export", {"Trainer"}, set()),
        ("trainer.tuning.search", {"Tuner"}, set()),
        ("trainer.adapters.keras_tuner", {"Tuner"}, set()),
        ("trainer.backbones.resnet34", {"Backbone"} | TRAINING, set()),
        ("trainer.hub_callable", {"HubModule", "Embedder"} | TRAINING, {"Embedder"}),
        ("trainer.embed", {"Embedder"}, {"Embedder"}),
        ("trainer.inputs", LEARNING | MODULES, {"Evaluator"} | RUNNING),
        ("trainer.ask_trained", {"Trainer"}, set()),
        ("serving.check.agreement", {"ServingCheck"}, set()),
        ("report.charts", {"Dashboard"}, set()),
        ("pipeline.graph", set(), set()),
    ],
)
def test_a_changed_module_reaches_the_steps_that_use_it(edited: str, steps: set[str], shards: set[str]) -> None:
    assert (following(edited), recomputing(edited)) == (steps, shards)


def kinds_of(union: object) -> set[str]:
    """Modules of the kinds in an annotated union."""
    return {kind.__module__.removeprefix("hubline.") for kind in get_args(get_args(union)[0])}


def test_steps_follow_every_kind_whose_methods_they_may_call() -> None:
    """Which kind a method belongs to is decided by the pipeline file, so imports alone must lead to all of them."""
    for module in kinds_of(Feature) | kinds_of(Label):
        assert {"Transform", "Trainer", "Evaluator"} <= following(module), module
        assert "Transform" in recomputing(module), module
    fed = kinds_of(get_args(ModuleFeatures)[1])
    assert fed == {f"preprocessing.kinds.{kind}" for kind in ("image", "video", "audio", "text", "numeric")}
    for module in fed:
        assert following(module) >= MODULES and recomputing(module) >= {"Embedder", "Predictor"}, module
