"""Every option of the pipeline file is used in a full run of some test, or the reason why not is given here."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.load import json_schema, load

ROOT = Path(__file__).parents[2]
TESTS_WITH_RUNS = (
    "tests/e2e/*.py",
    "tests/integration/test_backbones.py",
    "tests/integration/test_damage.py",
    "tests/integration/test_infer.py",
    "tests/integration/test_number_vectors.py",
    "tests/integration/test_paths.py",
    "tests/integration/test_stored_pixels.py",
    "tests/support/inference.py",
    "tests/support/project.py",
)
EXAMPLES_IN_RUNS = ("digits", "taxi", "video")
"""Examples that tests run."""
EDITED = {
    "tests/support/project.py": {
        "ServingCheck": {"tolerance", "max_load_seconds", "max_memory", "max_latency_ms", "timeout_seconds"},
        "MaxLatency": {"batch_1", "batch_32"},
        "Percentiles": {"p50", "p99"},
    },
    "tests/e2e/test_runs.py": {
        "Data": {"schema", "baseline", "drift", "window"},
        "Drift": {"policy", "columns"},
        "Serving": {"approval", "keep"},
        "Training": {"cache_views"},
    },
    "tests/e2e/test_options_of_training.py": {"Training": {"workers"}},
    "tests/e2e/test_tables.py": {
        "HashSplit": {"group"},
        "BinaryLabel": {"threshold"},
        "Maximize": {"maximize"},
    },
    "tests/e2e/test_findings.py": {"HashSplit": {"stratify"}, "BinaryLabel": {"above"}, "Devices": {"device", "count"}},
}
"""Options that a test inserts into the text of a file before the run, by test and type."""

CLUSTER = "takes effect on a cluster; compiled packages are run by test_kubeflow.py and test_kubeflow_infer.py"
WORKERS = "tests/integration/test_kubeflow_workers.py runs a package whose Embedder and Trainer have two workers each"
KSERVE = "needs KServe; tests/unit/test_kserve_step.py simulates its API"
ENGINES = "tests/integration/test_engine.py runs the steps that use Beam on job servers"
NETWORKS = "trained and compared with Keras in tests/integration/test_backbones.py; takes minutes in a full run"
SCHEDULES = "compared with bare Keras, step by step, in tests/unit/test_schedules.py"
DURATIONS = "lengths of training, in tests/unit/test_schedules.py"
INFERENCE = "compared with those of training in tests/unit/test_predict_hub.py"
WITHOUT_RUN: dict[str, str] = dict.fromkeys(
    (
        "Affinity",
        "Alert",
        "Api",
        "Expression",
        "KeySource",
        "InferFile.kubeflow",
        "Kubeflow",
        "PipelineFile.kubeflow",
        "Placement",
        "Retries",
        "Schedule",
        "SecretKey",
        "Toleration",
        "Volume",
    ),
    CLUSTER,
) | {
    "ShardJob": WORKERS,
    "WorkerJob": WORKERS,
    "InferenceService": KSERVE,
    "Serving.kserve": KSERVE,
    "Beam": ENGINES,
    "InferFile.beam": ENGINES,
    "PipelineFile.beam": ENGINES,
    **dict.fromkeys(("AlexNet", "LeNet5", "ResNet34", "KerasApplication"), NETWORKS),
    "Builder.folder": "tests/unit/test_backbones_file.py; full runs use the default, the file's folder",
    "Builder.trainable": NETWORKS,
    "Augmentation.mixup": "compared with NumPy in tests/integration/test_augmentation.py",
    "CrossedFeature.encode": "the same encoding as that of every categorical feature, which full runs use",
    "Drift.max_distance": "tests/integration/test_data_checks.py; full runs set it by column",
    "FineTune.last": "tests/integration/test_fine_tuning.py",
    "FineTune.training_mode": "compared with a TF1 session in tests/unit/test_tf1_training.py",
    "Hub.allow_operations": "HubModule, check and predict, in tests/unit/test_reaching_operations.py",
    "MultilabelLabel.columns": "trained and evaluated in tests/integration/test_multilabel.py",
    "MultilabelLabel.classes": "trained and evaluated in tests/integration/test_multilabel.py",
    **dict.fromkeys(
        (
            "CosineDecay.alpha",
            "CosineDecay.initial_learning_rate",
            "ExponentialDecay",
            "InverseTimeDecay",
            "PiecewiseConstantDecay",
            "PolynomialDecay",
            "Optimizer.amsgrad",
            "Optimizer.beta_1",
            "Optimizer.beta_2",
            "Optimizer.centered",
            "Optimizer.clipnorm",
            "Optimizer.epsilon",
            "Optimizer.initial_accumulator_value",
            "Optimizer.rho",
            "Optimizer.weight_decay",
        ),
        SCHEDULES,
    ),
    **dict.fromkeys(
        (
            "Asymmetric",
            "CrossEntropy",
            "MeanAbsoluteError",
            "MeanSquaredError",
        ),
        "trained and compared with bare Keras in tests/integration/test_training_options.py",
    ),
    **dict.fromkeys(("Epochs", "Examples", "Steps", "Training.examples"), DURATIONS),
    **dict.fromkeys(
        ("InferenceImageFeature.central_crop", "InferenceImageFeature.crop_box", "InferenceImageFeature.decode"),
        INFERENCE,
    ),
    **dict.fromkeys(("VideoFeature.central_crop", "VideoFeature.crop_box"), "those of images, in the same code"),
    **dict.fromkeys(
        ("PixelNumbers.order", "RawPixels.byte_order", "RawPixels.dtype", "RawPixels.range"),
        "compared with NumPy in tests/unit/test_stored_pixels.py",
    ),
    "Minutes": "tests/unit/test_checkpoints.py, with a clock of its own",
    **dict.fromkeys(("WarmStart.except", "WarmStart.names"), "tests/unit/test_warm_start.py compares values"),
    "ShareOfRecords.share": "tests/unit/test_selection.py; a share is a bound on hashes, as a number of records is",
    **dict.fromkeys(("Devices.gpu_memory", "Devices.soft_placement"), "takes effect on GPUs"),
    "Devices.log_device_placement": "writes TensorFlow's own log",
    "Predictions.min_score": "tests/unit/test_predict_hub_signatures.py; inference shares the code",
}
"""Types and keys without a full run, with reasons."""


def given(value: Any) -> Iterator[tuple[str, str]]:
    """The keys that a file sets, each with the type that it belongs to."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        for name in value.model_fields_set:
            if name in fields:
                yield type(value).__name__, fields[name].alias or name
            yield from given(getattr(value, name))
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from given(part)


def pipeline_texts() -> Iterator[str]:
    """Pipeline files of these examples and tests; of tests, the strings that look like one."""
    for name in EXAMPLES_IN_RUNS:
        yield (ROOT / "examples" / name / "pipeline.yaml").read_text()
    for pattern in TESTS_WITH_RUNS:
        for path in ROOT.glob(pattern):
            for text in strings(ast.parse(path.read_text())):
                if text.startswith(("name: ", "task: ")) and text.count("\n") > 3:
                    yield text


def strings(module: ast.Module) -> Iterator[str]:
    """String constants, and f-strings with the module's own constants."""
    constants = {}
    for node in ast.walk(module):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                constants[name] = text
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            parts = (part.value for part in node.values if isinstance(part, ast.Constant | ast.FormattedValue))
            yield "".join(constants.get(part.id, "") if isinstance(part, ast.Name) else str(part) for part in parts)


@pytest.fixture(scope="module")
def in_runs(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    path = tmp_path_factory.mktemp("options") / "pipeline.yaml"
    found: set[tuple[str, str]] = set()
    for text in pipeline_texts():
        path.write_text(text.replace("DIGEST", "f" * 64))  # known when the test runs
        try:
            file, _ = load(path)
        except PipelineFileError:  # contains placeholders, or errors on purpose
            continue
        found.update(given(file))
    return found


@cache
def options() -> set[tuple[str, str]]:
    """Every key of every type, as in `pipeline/schema.json`."""
    schema = json_schema()
    types = {**schema["$defs"], "PipelineFile": schema["else"], "InferFile": schema["then"]}
    return {
        (name, key)
        for name, described in types.items()
        for key, value in described.get("properties", {}).items()
        if value.get("type") != "null"  # the kind does not have this key
    }


EDITED_OPTIONS = {(name, key) for types in EDITED.values() for name, keys in types.items() for key in keys}


def has_reason(option: tuple[str, str]) -> bool:
    return option[0] in WITHOUT_RUN or ".".join(option) in WITHOUT_RUN


def test_every_option_is_used_in_a_full_run_or_has_a_reason(in_runs: set[tuple[str, str]]) -> None:
    without = {option for option in options() - in_runs - EDITED_OPTIONS if not has_reason(option)}
    assert not sorted(map(".".join, without)), "use them in a full run, or give a reason in WITHOUT_RUN"


def test_no_reason_is_left_over(in_runs: set[tuple[str, str]]) -> None:
    known = {name for name, _ in options()} | {".".join(option) for option in options()}
    assert not WITHOUT_RUN.keys() - known and not EDITED_OPTIONS - options()
    assert not sorted(".".join(option) for option in in_runs & options() if ".".join(option) in WITHOUT_RUN)
    assert not in_runs & EDITED_OPTIONS


@pytest.mark.parametrize("path", EDITED)
def test_an_edited_option_stands_in_its_test(path: str) -> None:
    text = (ROOT / path).read_text()
    missing = [key for keys in EDITED[path].values() for key in keys if key not in text]
    assert not missing
