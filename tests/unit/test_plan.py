"""`hubline plan` and `hubline why`, on a real metadata store with executions as TFX's launcher records them."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2
from typer.testing import CliRunner

from hubline.artifacts.names import BLESSED, SERVING_CHECK
from hubline.components.node import Node, in_order
from hubline.core import code_digest as code_digests
from hubline.core.errors import UserError
from hubline.pipeline.cli import app
from hubline.pipeline.graph import graph, unpinned
from hubline.pipeline.lineage import attempt_name, read_lineage
from hubline.pipeline.load import load
from hubline.pipeline.partial import WHOLE, Part
from hubline.pipeline.paths import Paths
from hubline.pipeline.plan import PlannedStep, plan
from hubline.pipeline.result import Result, Step
from hubline.pipeline.runs import keep_inputs
from hubline.pipeline.snapshot import pin
from hubline.pipeline.unchanged import code_digest
from hubline.pipeline.upkeep import Seals
from hubline.pipeline.why import why
from tests.support import example_data
from tests.support.code import changing
from tests.support.project import CHECKED, make_project

FIRST, SECOND = "20261128-030000-000001", "20261129-030000-000001"
STEPS = [
    "HubModule.mean", "ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "ParsingSchema", "DataGate",
    "Embedder", "Transform", "Trainer", "Evaluator", "Pusher",
]  # fmt: skip


class RecordedRun:
    """Records a run in the metadata store, with the result of each step, as a run does."""

    def __init__(self, path: Path, name: str, serving_check: int = 1) -> None:
        """serving_check: 1 if the serving check passes, and 0 if not."""
        self._serving_check = serving_check
        file, _ = load(path)
        self._places, self._name, self._pipeline = Paths.of(path, file.name, None), name, file.name
        self._places.root.mkdir(parents=True, exist_ok=True)
        config = metadata_store_pb2.ConnectionConfig()
        config.sqlite.filename_uri = str(self._places.metadata)
        self._store = metadata_store.MetadataStore(config)
        pins = pin(file)
        self.nodes = in_order(graph(file, pins, self._places))
        keep_inputs(self._places.runs / name, file, pins, code_digest())

    def record(self, made: Mapping[str, Mapping[str, int]], *ran: str) -> dict[str, dict[str, int]]:
        """Records all steps: those that ran with new artifacts, the others with given ones, by step and key."""
        known = {step: dict(ids) for step, ids in made.items()}
        for node in self.nodes:
            self._execute(node, known, cached=node.id not in ran)
        steps = tuple(Step(id=node.id, seconds=2.0, cached=node.id not in ran) for node in self.nodes)
        folder = self._places.runs / self._name
        result = Result(
            status="succeeded", steps=steps, seconds=30.0, report=f"{folder}/report", log=f"{folder}/run.log"
        )
        (folder / "report").mkdir()
        (folder / "report" / "report.json").write_text(result.model_dump_json())
        return known

    def _execute(self, node: Node, made: dict[str, dict[str, int]], cached: bool) -> None:
        states = metadata_store_pb2.Execution.State
        execution = metadata_store_pb2.Execution(
            type_id=self._type(metadata_store_pb2.ExecutionType(name=node.step.name)),
            last_known_state=states.Value("CACHED" if cached else "COMPLETE"),
        )
        for key, value in node.exec_properties.items():
            kind = "int_value" if isinstance(value, int) else "string_value"
            setattr(execution.custom_properties[key], kind, value)
        (number,) = self._store.put_executions([execution])
        if not cached:
            made[node.id] = {key: self._artifact(node, key, number) for key in node.outputs}
        for kind, name in (("node", f"{self._pipeline}.{node.id}"), ("pipeline_run", attempt_name(self._name, 1))):
            self._associate(kind, name, number)
        event = metadata_store_pb2.Event
        given = [(event.INPUT, key, made[output.step][output.key]) for key, output in node.inputs.items()]
        taken = [(event.OUTPUT, key, artifact) for key, artifact in made[node.id].items()]
        for kind_of_event, key, artifact in given + taken:
            put = event(artifact_id=artifact, execution_id=number, type=kind_of_event)
            put.path.steps.add().key = key
            put.path.steps.add().index = 0
            self._store.put_events([put])

    def _artifact(self, node: Node, key: str, execution: int) -> int:
        folder = self._places.artifacts / node.id / key / str(execution)
        folder.mkdir(parents=True)
        (folder / "content").write_text("content")
        Seals(self._places.seals).seal([str(folder)])
        artifact = metadata_store_pb2.Artifact(
            type_id=self._store.put_artifact_type(metadata_store_pb2.ArtifactType(name="Any")),
            uri=str(folder),
            state=metadata_store_pb2.Artifact.LIVE,
        )
        if key == SERVING_CHECK:
            artifact.custom_properties[BLESSED].int_value = self._serving_check
        (number,) = self._store.put_artifacts([artifact])
        return number

    def _type(self, kind: metadata_store_pb2.ExecutionType) -> int:
        return self._store.put_execution_type(kind)

    def _associate(self, kind: str, name: str, execution: int) -> None:
        context = self._store.get_context_by_type_and_name(kind, name)
        if context is None:
            number = self._store.put_context_type(metadata_store_pb2.ContextType(name=kind))
            (identity,) = self._store.put_contexts([metadata_store_pb2.Context(type_id=number, name=name)])
        else:
            identity = context.id
        association = metadata_store_pb2.Association(context_id=identity, execution_id=execution)
        self._store.put_attributions_and_associations([], [association])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A pipeline file with one run, in which every step ran."""
    path = make_project(tmp_path, records=example_data.labelled(20))
    RecordedRun(path, FIRST).record({}, *STEPS)
    return path


def running(path: Path, *settings: str, part: Part = WHOLE) -> dict[str, PlannedStep]:
    """The steps that would run."""
    return {step.id: step for step in plan(path, None, settings, part).steps if not step.cached}


def made_in_first_run(path: Path) -> dict[str, dict[str, int]]:
    """Ids of the artifacts of the first run, by step and key."""
    executions = read_lineage(path.parent / ".hubline" / "tiny" / "metadata.sqlite", "tiny").in_run(FIRST)
    return {step: {made.key: made.id for made in each.outputs} for step, each in executions.items()}


def texts(step: PlannedStep) -> list[str]:
    return [reason.text for reason in step.reasons]


def test_before_the_first_run_every_step_runs_and_nothing_is_written(tmp_path: Path) -> None:
    path = make_project(tmp_path, records=example_data.labelled(20))
    before = sorted(tmp_path.rglob("*"))
    planned = plan(path, None)
    assert [step.id for step in planned.steps] == STEPS and planned.seconds is None
    assert {reason.text for step in planned.steps for reason in step.reasons} == {"it has not run yet"}
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_runs_when_nothing_changed(path: Path) -> None:
    planned = plan(path, None)
    assert [(step.id, step.cached, step.run) for step in planned.steps] == [(step, True, FIRST) for step in STEPS]
    assert planned.seconds == 30 - len(STEPS) * 2  # what a run takes besides its steps


def test_a_changed_value_is_named_with_what_follows_from_it(path: Path) -> None:
    found = running(path, "training.epochs=6")
    assert list(found) == ["Trainer", "Evaluator", "Pusher"]
    assert texts(found["Trainer"]) == ["training changed: epochs 5 → 6"] and found["Trainer"].run == FIRST
    assert texts(found["Evaluator"]) == ["Trainer runs"]
    assert texts(found["Pusher"]) == [
        "the model card changed: file.training.epochs 5 → 6",
        "Evaluator runs",
        "Trainer runs",
    ]
    assert [step.seconds for step in found.values()] == [2.0, 2.0, 2.0]


def test_a_new_data_file_is_named(path: Path) -> None:
    example_data.write_tfrecord(path.parent / "data" / "new.tfrecord", example_data.labelled(4))
    found = running(path)
    assert set(found) == set(STEPS) - {"HubModule.mean"}
    (reason,) = found["ExampleGen"].reasons
    assert [(change.key, change.before) for change in reason.changes] == [
        (f"all.{path.parent}/data/new.tfrecord", None)
    ]
    assert reason.text.startswith(f"data files changed: all.{path.parent}/data/new.tfrecord")


def test_a_changed_module_and_a_pushed_version_are_reasons(path: Path) -> None:
    (path.parent / "module" / "assets" / "labels.txt").write_text("changed")
    found = running(path)
    assert list(found) == ["HubModule.mean", "Embedder", "Trainer", "Evaluator", "Pusher"]
    assert texts(found["HubModule.mean"]) == ["the module's fingerprint changed"]
    assert texts(found["Embedder"]) == ["HubModule.mean runs"]


def test_changed_code_is_a_reason(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changing(["components/evaluator/executor.py"], monkeypatch)
    found = running(path)
    assert list(found) == ["Evaluator", "Pusher"] and texts(found["Evaluator"]) == ["its code changed"]
    assert [reason.kind for reason in found["Pusher"].reasons] == ["step"]


def test_another_version_of_a_package_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = path.parent / ".hubline" / "tiny" / "runs" / FIRST / "inputs.json"
    values = json.loads(inputs.read_text())
    now, values["versions"]["tensorflow"] = values["versions"]["tensorflow"], "2.0.0"
    inputs.write_text(json.dumps(values))
    monkeypatch.setattr(code_digests, "STACK", ("tfx",))
    assert texts(running(path)["HubModule.mean"]) == [f"versions of packages changed: tensorflow 2.0.0 → {now}"]


@pytest.mark.parametrize("fault", ["gone", "damaged"])
def test_lost_artifacts_are_made_again(path: Path, fault: str) -> None:
    (content,) = (path.parent / ".hubline" / "tiny" / "artifacts" / "Transform").rglob("content")
    if fault == "gone":
        content.unlink()
        content.parent.rmdir()
    else:
        content.write_text("")
    found = running(path)
    assert list(found) == ["Transform", "Trainer", "Evaluator", "Pusher"]
    (reason,) = found["Transform"].reasons
    assert reason.kind == "lost" and str(content.parent) in reason.text


def test_a_serving_check_that_failed_is_repeated(tmp_path: Path) -> None:
    path = make_project(tmp_path, CHECKED, records=example_data.labelled(20))
    steps = [*STEPS[:-1], "ServingCheck", "Pusher"]
    said = "the serving check failed last time, and times differ from run to run"
    made = RecordedRun(path, FIRST, serving_check=0).record({}, *steps)
    found = running(path)
    assert list(found) == ["ServingCheck", "Pusher"]
    assert texts(found["ServingCheck"]) == [said] and texts(found["Pusher"]) == ["ServingCheck runs"]
    RecordedRun(path, SECOND).record(made, "ServingCheck", "Pusher")
    assert not running(path)
    told = {step.id: [reason.text for reason in step.reasons] for step in why(path, None, "last")[1] if not step.cached}
    assert told == {"ServingCheck": [said], "Pusher": ["ServingCheck ran"]}


def test_a_value_that_is_as_in_an_older_run_reuses_that_run(path: Path) -> None:
    text = path.read_text()
    path.write_text(text.replace("epochs: 5", "epochs: 6"))
    RecordedRun(path, SECOND).record(made_in_first_run(path), "Trainer", "Evaluator", "Pusher")
    path.write_text(text)
    assert {step.run for step in plan(path, None).steps} == {FIRST}


def test_from_and_until_choose_steps(path: Path) -> None:
    found = running(path, part=Part("Transform", "Trainer"))
    assert list(found) == ["Transform", "Trainer"]
    assert texts(found["Transform"]) == ["--from asks for it"] and texts(found["Trainer"]) == ["Transform runs"]
    planned = plan(path, None, (), Part(None, "Transform"))
    assert [step.id for step in planned.steps] == [
        "HubModule.mean", "ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "ParsingSchema", "DataGate",
        "Transform",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Part("Trainr"), "--from Trainr: the pipeline has no such step; did you mean 'Trainer'?"),
        (Part(None, "Tuner"), "--until Tuner: the pipeline has no such step; .*known here: HubModule.mean, ExampleGen"),
        (Part("Pusher", "Trainer"), "--from Pusher --until Trainer: Trainer doesn't need Pusher"),
        (Part("Embedder", "Transform"), "--from Embedder --until Transform: Transform doesn't need Embedder"),
    ],
)
def test_steps_that_are_not_there_are_refused(path: Path, part: Part, message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan(path, None, (), part)


def test_the_graph_has_the_same_steps_before_inputs_are_pinned(path: Path) -> None:
    file, _ = load(path)
    places = Paths.of(path, file.name, None)
    assert [node.id for node in in_order(graph(file, unpinned(file), places))] == STEPS


def test_why_tells_of_a_run_that_was_what_plan_told_before(path: Path) -> None:
    first = json.loads(CliRunner().invoke(app, ["why", str(path), FIRST, "--json"]).output)
    assert first["run"] == FIRST
    assert {reason["text"] for step in first["steps"] for reason in step["reasons"]} == {"it had not run before"}

    path.write_text(path.read_text().replace("epochs: 5", "epochs: 6"))
    planned = {step.id: (step.cached, step.run) for step in plan(path, None).steps}
    RecordedRun(path, SECOND).record(made_in_first_run(path), "Trainer", "Evaluator", "Pusher")
    name, explained = why(path, None, "last")
    assert name == SECOND and {step.id: (step.cached, step.run) for step in explained} == planned
    told = {step.id: [reason.text for reason in step.reasons] for step in explained if not step.cached}
    assert told["Trainer"] == ["training changed: epochs 5 → 6"] and told["Evaluator"] == ["Trainer ran"]
    line = (
        CliRunner().invoke(app, ["why", str(path), "last", "Trainer"], env={"COLUMNS": "160"}).output.splitlines()[-1]
    )
    assert line.split(maxsplit=2) == ["Trainer", "ran", f"training changed: epochs 5 → 6 (since run {FIRST})"]
    with pytest.raises(UserError, match=r"Trainr: run .* has no such step; did you mean 'Trainer'"):
        why(path, None, "last", "Trainr")


def test_plan_prints_a_table_and_imports_neither_tensorflow_nor_tfx(path: Path) -> None:
    program = (
        "import sys; from hubline.pipeline.cli import app; app(['plan', sys.argv[1], '--set', 'training.epochs=6'], "
        "standalone_mode=False); assert not {'tensorflow', 'tfx', 'apache_beam'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, env={"COLUMNS": "160"}, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[2].split() == ["ExampleGen", "cached", "as", "in", "run", FIRST]
    assert f"training changed: epochs 5 → 6 (since run {FIRST})" in done.stdout
    assert lines[-1] == "3 of 12 steps run, in about 12 s."
