"""The section `tune`: each value of a trial is checked as if it stood in the file."""

import subprocess
import sys
from pathlib import Path

import pytest

from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.kubeflow.config import Kubeflow
from hubline.pipeline.kubeflow.run_parameters import check
from hubline.pipeline.load import load

FILE = """\
name: tiny
data: {examples: data}
features: {image: {kind: image, size: [8, 8]}}
label: {from: label, kind: class, classes: [dark, light]}
hubs: {mean: {handle: module, inputs: {images: image}}}
training: {epochs: 5, optimizer: {learning_rate: 0.1}}
serving: {destination: serving}
tune:
"""


def mistakes(folder: Path, *lines: str) -> list[str]:
    """Errors of a file with these lines in `tune`, without the file's name: line, key and message."""
    path = folder / "pipeline.yaml"
    path.write_text(FILE + "".join(f"  {line}\n" for line in lines))
    try:
        load(path)
    except PipelineFileError as error:
        return [str(diagnostic).removeprefix(f"{path}:") for diagnostic in error.diagnostics]
    return []


@pytest.mark.parametrize(
    "lines",
    [
        ["training.optimizer.learning_rate: {log: [1.0e-5, 1.0e-2]}", "model.head.hidden: {choice: [[64], []]}"],
        ["training.optimizer: {choice: [{name: adam}, {name: sgd, momentum: 0.9}]}", "training.seed: {int: [0, 9]}"],
        ["training.loss: {choice: [focal, cross_entropy]}", "objective: val_accuracy"],
        ["training.seed: {int: [0, 5]}", "objective: val_f1(dark)"],
        ["model.head.initializer: {choice: [null, he_normal]}"],
        ["training.devices: {choice: [{precision: mixed_bfloat16}, {jit_compile: true}]}"],
        ["training.epochs: {int: [1, 9], step: 4}", "search: grid", "prune: false"],
        ["training.batch_size: {int: [8, 64], step: 2, sampling: log}", "search: hyperband", "trials: 7"],
    ],
)
def test_values_that_only_the_trainer_reads_can_be_tuned(tmp_path: Path, lines: list[str]) -> None:
    assert mistakes(tmp_path, *lines) == []


def test_batches_of_any_tuned_size_are_split_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "FILE", FILE.replace("epochs: 5", "epochs: 5, workers: 4"))
    assert mistakes(tmp_path, "training.batch_size: {int: [8, 64], step: 8}") == []
    assert mistakes(tmp_path, "training.batch_size: {int: [8, 64], step: 2, sampling: log}") == []
    (found,) = mistakes(tmp_path, "training.batch_size: {int: [8, 64]}")
    assert "batch of 9" in found


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["training.epochs: {uniform: [1, 5]}"], "9: tune.training.epochs.uniform: input should be a valid integer"),
        (
            ["trials: 3", "model.head.hidden: {choice: [[64], 3]}"],
            "10: tune.model.head.hidden.choice[1]: input should be a valid list; got 3",
        ),
        (["model.head.dropout: {log: [0.1, 1.5]}"], "9: tune.model.head.dropout.log[1]: input should be less than 1"),
        (["model.head.dropout: {log: [0, 0.5]}"], "9: tune.model.head.dropout.log[0]: input should be greater than 0"),
        (["training.batch_size: {int: [64, 8]}"], "the first number must be less than the second; got [64, 8]"),
        (
            ["training.batch_size: {int: [8, 64], stop: 3}"],
            "batch_size.stop: unknown key; did you mean 'step'?",
        ),
        (["training.batch_size: {int: [0, 8], sampling: log}"], "log needs a lowest integer of at least 1"),
        (["training.batch_size: [8, 64]"], "must be one of {choice: [a, b]}, {log: [low, high]}"),
        (["training.batch_size: {choice: [8]}"], "should have at least 2 items"),
        (["training.batch_size: {choice: [8, 8]}"], "8 is listed twice"),
        (["training.optimiser.x: {choice: [1, 2]}"], "training.optimiser: unknown key; did you mean 'optimizer'?"),
        (["training.optimizer.learning_rate.x: {choice: [1, 2]}"], "learning_rate is 0.1, which has no keys"),
        (
            ["training.optimizer.name: {choice: [adam, sgd]}", "training.optimizer.momentum: {uniform: [0.1, 0.9]}"],
            'with training.optimizer.name: "adam", training.optimizer.momentum: 0.1: training.optimizer: adam has no',
        ),
        (["training.l2: {log: [1.0e-6, 1.0e-3]}"], "changes the loss itself, so that val_loss can't be compared"),
        (
            ["training.seed: {int: [0, 5]}", "objective: val_rmse"],
            "10: tune.objective: a label of kind class has no rmse; it has accuracy,",
        ),
        (["training.seed: {int: [0, 5]}", "search: tpe"], "10: tune.search: 'tpe' is not known here"),
        (["training.augment: {choice: [[], [flip_left_right]]}"], "choice[1]: changes what steps before the Trainer"),
        (["training.devices.count: {int: [1, 2]}"], "int[0]: changes the devices, and all trials train on the same"),
        (["model.fine_tune.mean.after_epochs: {choice: [0, 5]}"], "choice[0]: changes what steps before the Trainer"),
        (["features.image.size: {choice: [[8, 8], [9, 9]]}"], "only values of `model` and `training` can be tuned"),
        (["model: {choice: [{}, {}]}"], "name a single value in `model`"),
        (["trials: 3"], "8: tune: names no value to tune"),
        (["trails: 3"], "9: tune.trails: unknown key; known here: trials, objective"),
        (["training.epochs: {int: [1, 5]}", "search: hyperband"], "hyperband chooses how long a trial is trained"),
        (["training.seed: {int: [1, 5]}", "search: hyperband", "trials: 4"], "hyperband needs 7 trials"),
    ],
)
def test_an_impossible_search_is_refused_with_line_and_key(tmp_path: Path, lines: list[str], said: str) -> None:
    (first, *_) = mistakes(tmp_path, *lines)
    assert said in first


@pytest.mark.slow
def test_of_many_values_all_pairs_are_checked(tmp_path: Path) -> None:
    lines = [f"training.optimizer.{key}: {{uniform: [0.1, 0.9]}}" for key in ("beta_1", "beta_2", "epsilon")]
    lines += ["model.head.hidden: {choice: [[1], [2], [3], [4], [5], [6], [7], [8], [9], [10], [11], [12]]}"]
    assert mistakes(tmp_path, *lines, "training.optimizer.name: {choice: [adam, nadam]}") == []
    said = mistakes(tmp_path, *lines, "training.optimizer.name: {choice: [adam, lion]}")
    assert any('training.optimizer.name: "lion"' in each and "lion has no epsilon" in each for each in said)


def test_a_run_parameter_changes_the_search(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "training.optimizer.learning_rate: {log: [1.0e-5, 1.0e-2]}", "trials: 3") == []
    file, source = load(tmp_path / "pipeline.yaml")
    overrides = {"tune.trials": 5, "tune.training.optimizer.learning_rate": {"choice": [0.5, 0.1]}}
    assert check(file, {"overrides": overrides}, source.folder, for_cluster=False)["overrides"] == overrides


def test_the_tuner_is_placed_as_the_trainer_is() -> None:
    steps = {"Trainer": {"gpus": 2, "memory": "32Gi"}, "Tuner": {"memory": "64Gi"}}
    placement = Kubeflow.model_validate({"steps": steps}).placement("Tuner")
    assert (placement.gpus, placement.memory) == (2, "64Gi")
    assert Kubeflow.model_validate({"steps": {"Trainer": {"gpus": 2}}}).placement("Tuner").gpus == 2
    assert Kubeflow.model_validate({"steps": {"Tuner": {"gpus": 2}}}).placement("Trainer").gpus == 0


@pytest.mark.slow
def test_check_reads_a_search_without_tensorflow(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "training.seed: {int: [1, 5]}") == []
    program = (
        "import sys; from pathlib import Path; from hubline.pipeline.load import load; load(Path(sys.argv[1])); "
        "assert not {'tensorflow', 'tfx', 'keras_tuner'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "pipeline.yaml")], check=True)
