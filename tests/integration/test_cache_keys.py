"""Cache keys of the steps: which steps a change reruns."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hubline.components.node import Node, downstream, in_order
from hubline.components.pin.snapshot import pin
from hubline.core import code_digest as code_digests
from hubline.pipeline import graph as graphs
from hubline.pipeline.load import load
from hubline.pipeline.paths import Paths
from tests.support import example_data
from tests.support.code import changing
from tests.support.project import make_project

CHECKS = ["ExampleValidator", "DataGate"]
DESCRIBING = ["ExampleGen", "StatisticsGen", "SchemaGen"]
DATA_STEPS = [*DESCRIBING, "ExampleValidator", "ParsingSchema", "DataGate", "Embedder", "Transform"]
STEPS = ["HubModule.mean", *DATA_STEPS, "Trainer", "Evaluator", "Pusher"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project", records=example_data.labelled(20))


def graph(path: Path) -> list[Node]:
    file, _ = load(path)
    pins = pin(file.data, file.features, file.hubs, file.serving.destination)
    return in_order(graphs.graph(file, pins, Paths(path.parent / "root")))


def keys(steps: list[Node]) -> dict[str, object]:
    """Properties of each step, which TFX hashes into its cache key along with the step's inputs."""
    return {step.id: dict(step.exec_properties) for step in steps}


def run_again(before: list[Node], after: list[Node]) -> set[str]:
    """Steps whose own key changed, and all steps downstream of them."""
    old, new = keys(before), keys(after)
    stale = {step for step in new if old.get(step) != new[step]}
    return downstream(after, stale)


def behind(*steps: str) -> set[str]:
    """The given steps and all steps downstream of them."""
    reads = {
        "ExampleGen": set(STEPS) - {"HubModule.mean"},
        "HubModule.mean": {"HubModule.mean", "Embedder", "Trainer", "Evaluator", "Pusher"},
        "StatisticsGen": set(STEPS) - {"HubModule.mean", "ExampleGen"},
        "SchemaGen": set(STEPS) - {"HubModule.mean", "ExampleGen", "StatisticsGen"},
        "ExampleValidator": set(CHECKS),
        "ParsingSchema": {"ParsingSchema", "Embedder", "Transform", "Trainer", "Evaluator", "Pusher"},
        "Embedder": {"Embedder", "Trainer", "Evaluator", "Pusher"},
        "Transform": {"Transform", "Trainer", "Evaluator", "Pusher"},
        "Trainer": {"Trainer", "Evaluator", "Pusher"},
        "Evaluator": {"Evaluator", "Pusher"},
        "Pusher": {"Pusher"},
    }
    return set().union(*(reads[step] for step in steps))


def replace(old: str, new: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return change


@pytest.mark.both_stacks
def test_the_graph_is_the_one_that_is_documented(project: Path) -> None:
    assert [step.id for step in graph(project)] == STEPS


def test_a_share_for_the_new_version_runs_the_step_that_gives_it_alone(project: Path) -> None:
    service = "destination: serving, kserve: {name: a, namespace: b, models: gs://bucket/models, canary_percent: 10}"
    replace("destination: serving", service)(project)
    before = graph(project)
    assert [step.id for step in before] == [*STEPS, "KServe"]
    replace("canary_percent: 10", "canary_percent: 50")(project)
    assert run_again(before, graph(project)) == {"KServe"}


def test_nothing_runs_again_when_nothing_changed(project: Path) -> None:
    assert run_again(graph(project), graph(project)) == set()


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        (replace("training:", "model: {head: {hidden: [4]}}\ntraining:"), behind("Trainer")),
        (replace("epochs: 5", "epochs: 6"), behind("Trainer")),
        (replace("epochs: 5", "epochs: 5, augment: [flip_left_right], cache_views: 2"), behind("Embedder")),
        (replace("training:", "model: {fine_tune: {mean: {}}}\ntraining:"), behind("HubModule.mean")),
        (replace("evaluation: {", "evaluation: {slices: [[label]], "), behind("Evaluator", "ExampleValidator")),
        (replace("at_least: 0.9", "at_least: 0.8"), behind("Evaluator")),
        (replace("destination: serving", "destination: elsewhere"), behind("Pusher")),
        (replace("serving:", "export: {frozen_graph: true}\nserving:"), {"Exporter", *behind("Evaluator")}),
        (replace("{train: 6,", "{train: 5,"), behind("ExampleGen")),
        (replace("examples: data", "examples: data\n  bad_records: {policy: quarantine}"), behind("ExampleGen")),
        (replace("size: [8, 8]", "size: [8, 8], resize: area"), behind("HubModule.mean", "Transform")),
        (replace("size: [8, 8]}", "size: [8, 8]}\n  hour: {kind: numeric}"), behind("Transform", "ExampleValidator")),
        (replace("kind: class, classes: [dark, light]", "kind: binary"), behind("ExampleGen")),
        (replace("[dark, light]", "[black, white]"), behind("ExampleGen")),
        (replace("inputs:", "output: default, signature: x, inputs:"), behind("HubModule.mean")),
    ],
)
def test_a_change_of_the_file_runs_what_reads_that_section(project: Path, change, stale: set[str]) -> None:
    before = graph(project)
    change(project)
    assert run_again(before, graph(project)) == stale


TUNE = "tune: {training.optimizer.learning_rate: {log: [0.01, 0.1]}, trials: 3, objective: val_accuracy}\nserving:"


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        (replace("trials: 3", "trials: 4"), {"Tuner"}),
        (replace("val_accuracy", "val_loss"), {"Tuner"}),
        (replace("log: [0.01, 0.1]", "log: [0.01, 0.2]"), {"Tuner"}),
        (replace("trials: 3", "trials: 3, model.head.dropout: {uniform: [0, 0.5]}"), {"Tuner"}),
        (replace("trials: 3", "trials: 3, parallel: 2"), {"Tuner"}),
        (replace("epochs: 5", "epochs: 6"), {"Tuner"}),
        (replace("at_least: 0.9", "at_least: 0.8"), set()),
        (replace("size: [8, 8]", "size: [8, 8], resize: area"), {"Tuner", "HubModule.mean", "Embedder", "Transform"}),
    ],
)
def test_another_search_runs_again_with_the_training_and_without_the_data_steps(
    project: Path, change: Callable[[Path], None], stale: set[str]
) -> None:
    plain = graph(project)
    replace("serving:", TUNE)(project)
    before = graph(project)
    assert run_again(plain, before) == {"Tuner"} | behind("Trainer")
    change(project)
    after_the_trainer = behind("Trainer") if stale else behind("Evaluator")
    assert run_again(before, graph(project)) == stale | after_the_trainer


def test_changed_code_of_the_search_runs_search_and_training(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace("serving:", TUNE)(project)
    before = graph(project)
    changing(["trainer/tuning/search.py"], monkeypatch)
    assert run_again(before, graph(project)) == {"Tuner"} | behind("Trainer")


def test_a_changed_file_under_the_same_path_runs_all_that_reads_data(project: Path) -> None:
    before = graph(project)
    example_data.write_tfrecord(project.parent / "data" / "a.tfrecord", example_data.labelled(12))
    assert run_again(before, graph(project)) == behind("ExampleGen")


def test_spans_run_what_reads_data_exactly_when_the_window_holds_others(project: Path) -> None:
    data = project.parent / "data"
    for span in (1, 2, 3):
        example_data.write_tfrecord(data / f"{span}" / "v1" / "a", example_data.labelled(2))
    replace("examples: data", "examples: data/{SPAN}/v{VERSION}/*\n  window: 3")(project)
    stale = behind("ExampleGen")
    before = graph(project)

    def after(change: object) -> set[str]:
        nonlocal before
        earlier, before = before, graph(project)
        return run_again(earlier, before)

    assert after(None) == set()
    assert after(example_data.write_tfrecord(data / "2" / "v1" / "a", example_data.labelled(4))) == stale, (
        "a file written anew"
    )
    assert after(example_data.write_tfrecord(data / "1" / "v2" / "a", example_data.labelled(2))) == stale, (
        "a new version"
    )
    assert after(example_data.write_tfrecord(data / "1" / "v1" / "b", example_data.labelled(2))) == set(), (
        "an old version"
    )
    assert after(example_data.write_tfrecord(data / "4" / "v1" / "a", example_data.labelled(2))) == stale, (
        "the first falls out"
    )
    assert after(example_data.write_tfrecord(data / "1" / "v3" / "a", example_data.labelled(2))) == set(), (
        "out of the window"
    )
    assert after(shutil.rmtree(data / "4")) == stale, "a span removed, and the first is in the window again"
    assert after((data / "5" / "v1").mkdir(parents=True)) == set(), "a folder without files"
    replace("window: 3", "window: 4")(project)
    assert after(None) == set(), "a window of more than there is"
    replace("window: 4", "window: 2")(project)
    assert after(None) == stale, "a smaller window"


def test_a_changed_module_under_the_same_path_runs_all_that_uses_it(project: Path) -> None:
    before = graph(project)
    (project.parent / "module" / "assets" / "labels.txt").write_text("changed")
    assert run_again(before, graph(project)) == behind("HubModule.mean")


def test_a_changed_vocabulary_under_the_same_path_runs_all_that_uses_it(project: Path) -> None:
    vocabulary = project.parent / "words.txt"
    vocabulary.write_text("red\ngreen\n")
    replace("size: [8, 8]}", "size: [8, 8]}\n  colour: {kind: categorical, vocabulary: {file: words.txt}}")(project)
    before = graph(project)
    vocabulary.touch()
    assert run_again(before, graph(project)) == set(), "its content counts"
    vocabulary.write_text("green\nred\n")
    assert run_again(before, graph(project)) == behind("Transform")


def test_a_changed_schema_under_the_same_path_runs_all_that_uses_it(project: Path) -> None:
    (project.parent / "schema.pbtxt").write_text('feature {name: "label" type: INT}')
    replace("examples: data", "examples: data\n  schema: schema.pbtxt")(project)
    before = graph(project)
    (project.parent / "schema.pbtxt").write_text('feature {name: "label" type: BYTES}')
    assert run_again(before, graph(project)) == behind("SchemaGen")


def test_a_changed_baseline_and_other_limits_run_the_checks_and_train_nothing(project: Path) -> None:
    before = graph(project)
    (project.parent / "statistics.pb").write_text("one")
    replace("examples: data", "examples: data\n  baseline: statistics.pb")(project)
    with_baseline = graph(project)
    assert run_again(before, with_baseline) == behind("ExampleValidator")
    (project.parent / "statistics.pb").write_text("another")
    changed = graph(project)
    assert run_again(with_baseline, changed) == behind("ExampleValidator")
    replace("baseline: statistics.pb", "baseline: statistics.pb\n  drift: {policy: fail, columns: {label: 0.2}}")(
        project
    )
    assert run_again(changed, graph(project)) == behind("ExampleValidator")


def test_a_new_serving_version_is_compared_with(project: Path) -> None:
    before = graph(project)
    shutil.copytree(project.parent / "module", project.parent / "serving" / "1")
    assert run_again(before, graph(project)) == behind("Evaluator")


@pytest.mark.parametrize(
    ("changed", "stale"),
    [
        ("trainer/train.py", behind("Trainer")),
        ("trainer/model.py", behind("Trainer")),
        ("trainer/labels/classes.py", behind("Trainer")),
        ("trainer/hub_layer.py", behind("HubModule.mean", "Trainer")),
        ("trainer/module.py", behind("HubModule.mean", "Trainer")),
        ("trainer/backbones/lenet5.py", behind("Trainer")),
        ("trainer/embed.py", behind("Embedder")),
        ("trainer/callbacks.py", behind("Trainer")),
        ("components/statistics_gen/shard.py", behind("StatisticsGen")),
        ("components/embedder/executor.py", behind("Embedder")),
        ("artifacts/quarantine.py", behind("ExampleGen")),
        ("trainer/export.py", behind("Trainer", "Evaluator")),
        ("preprocessing/transform.py", behind("Embedder", "HubModule.mean", "Transform")),
        ("preprocessing/kinds/crossed.py", behind("Transform")),
        ("preprocessing/kinds/numeric.py", behind("HubModule.mean", "Transform")),
        ("preprocessing/kinds/image.py", behind("HubModule.mean", "Transform")),
        ("preprocessing/labels/classes.py", behind("Transform")),
        ("preprocessing/config.py", behind("Transform")),
        ("components/config/data.py", set()),
        ("components/config/splits.py", behind("ExampleGen")),
        ("components/config/bad_records.py", behind("ExampleGen")),
        ("components/config/drift.py", behind("ExampleValidator")),
        ("components/config/evaluation.py", behind("Evaluator")),
        ("components/example_gen/label_contracts.py", set()),  # the contract itself is in the key
        ("components/example_validator/requirements.py", set()),  # the checks themselves are in the key
        ("core/storage/stores.py", behind("ExampleGen", "HubModule.mean")),
        ("components/example_gen/ingest.py", behind("ExampleGen")),
        ("components/hub_module/fetch.py", behind("HubModule.mean")),
        ("components/data_gate/executor.py", {"DataGate"}),
        ("components/example_validator/checks.py", behind("ExampleValidator")),
        ("components/example_validator/drift.py", behind("ExampleValidator")),
        ("artifacts/findings.py", behind("ExampleValidator", "Transform")),
        ("components/parsing_schema/executor.py", behind("ParsingSchema")),
        ("artifacts/column_statistics.py", behind("StatisticsGen")),
        ("preprocessing/vocabulary_files.py", behind("Transform")),
        ("components/pin/find.py", set()),
        ("artifacts/pins.py", behind("ExampleGen")),
        ("artifacts/decision.py", behind("Evaluator")),
        ("serving/push.py", behind("Pusher")),
        ("components/trainer/executor.py", behind("Trainer")),
    ],
)
def test_changed_code_runs_the_steps_that_use_it(
    project: Path, monkeypatch: pytest.MonkeyPatch, changed: str, stale: set[str]
) -> None:
    before = graph(project)
    changing([changed], monkeypatch)
    assert run_again(before, graph(project)) == stale


def test_another_stack_runs_every_step_of_ours(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = graph(project)
    monkeypatch.setattr(code_digests, "STACK", ("tfx",))
    assert run_again(before, graph(project)) == set(STEPS)
