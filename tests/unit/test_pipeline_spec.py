"""Contents of a package compared with independent computations: dependencies, pods, size, and other parsers."""

import io
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml as pyyaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from hubline.pipeline.kubeflow.check import check, waits_for
from hubline.pipeline.kubeflow.compile import compile_file
from hubline.pipeline.kubeflow.config import Kubeflow
from hubline.pipeline.kubeflow.escaping import argument, yaml
from hubline.pipeline.kubeflow.parameter_definitions import dumped
from hubline.pipeline.kubeflow.pipeline_spec import on_cluster, package
from hubline.pipeline.kubeflow.tasks import Task, dag, task_name
from hubline.pipeline.kubeflow.workflow_size import LIMIT, workflow_size
from hubline.pipeline.load import load

IMAGE = "registry.example/hubline@sha256:" + "0" * 64
FILE = """\
name: taxi-tips
data: {examples: gs://bucket/data/*.tfrecord}
features: {miles: {kind: numeric}}
label: {from: tips, kind: class, classes: ["yes", "on", "12:30:45", "1e-05", "0777", "~", "2024-01-01", "1_000"]}
training: {epochs: 1, batch_size: 8, optimizer: {name: adam, learning_rate: 0.00001}}
serving: {destination: gs://bucket/serving}
kubeflow: {state: gs://bucket/stateMORE}
"""


def packaged(folder: Path, more: str = "", text: str = FILE) -> tuple[dict[str, Any], dict[str, Any]]:
    path = folder / "pipeline.yaml"
    path.write_text(text.replace("MORE", more))
    return package(load(path)[0], IMAGE)


# Dependencies


def reached(waits: dict[str, set[str]], task: str) -> set[str]:
    return set().union(*({each} | reached(waits, each) for each in waits[task]))


@pytest.mark.slow
@given(st.data())
def test_tasks_wait_for_all_that_they_did_and_say_no_more_than_needed(data: st.DataObject) -> None:
    names = [f"T{number}" for number in range(6)]
    tasks = [
        Task(name, "m", [], after=data.draw(st.sets(st.sampled_from(names[:number])) if number else st.just(set())))
        for number, name in enumerate(names)
    ]
    whole = {task_name(task.step): {task_name(each) for each in task.after} for task in tasks}
    reduced = {name: {*task.get("dependentTasks", ())} for name, task in dag(tasks, Kubeflow())["tasks"].items()}
    assert {name: reached(reduced, name) for name in reduced} == {name: reached(whole, name) for name in whole}
    for name, waits in reduced.items():
        for one, other in itertools.permutations(waits, 2):
            assert one not in reached(reduced, other), f"{name} waits for {one} by way of {other}"


@pytest.mark.slow
def test_the_graph_has_few_arrows_and_keeps_the_order_of_steps(tmp_path: Path) -> None:
    spec, _ = packaged(tmp_path, ", join: {}")
    file, _ = load(tmp_path / "pipeline.yaml")
    tasks = spec["root"]["dag"]["tasks"]
    # KFP's local runner orders tasks by this alone; its backend adds the producers of inputs.
    waits = {name: {*task.get("dependentTasks", ())} for name, task in tasks.items()}
    for node in on_cluster(file):
        wanted = {task_name(each.id) for each in node.upstream_nodes} | {"pin"}
        assert wanted <= reached(waits, task_name(node.id))
    for name, task in tasks.items():
        for one, other in itertools.permutations(waits[name], 2):
            assert one not in reached(waits, other), f"{name} waits for {one} by way of {other}"
        assert waits_for(task) <= reached(waits, name)
    assert waits["transform"] == {"datagate", "parsingschema"} and waits["trainer"] == {"embedder", "transform"}


# Pods


@pytest.mark.parametrize(
    ("more", "pods"),
    [
        ("", {"data", "datachecks"}),
        (", join: {}", {"examplegen", "statisticsgen", "schemagen", "parsingschema", "examplevalidator", "datagate"}),
        (", join: {Checks: [ExampleValidator, DataGate]}", {"checks", "examplegen", "statisticsgen", "schemagen"}),
        (", steps: {ExampleGen: {memory: 8Gi}}", {"examplegen", "data", "datachecks"}),
        (", steps: {DataGate: {cpu: '1'}}", {"data", "examplevalidator", "datagate"}),
    ],
)
def test_steps_that_are_cached_together_share_a_pod_unless_the_file_says_otherwise(
    tmp_path: Path, more: str, pods: set[str]
) -> None:
    spec, platform = packaged(tmp_path, more)
    check(spec, platform)
    assert pods <= spec["root"]["dag"]["tasks"].keys()
    assert len(spec["root"]["dag"]["tasks"]) == len(packaged(tmp_path, ", join: {}")[0]["root"]["dag"]["tasks"]) - {
        "": 4, ", join: {}": 0, ", join: {Checks: [ExampleValidator, DataGate]}": 1,
        ", steps: {ExampleGen: {memory: 8Gi}}": 3, ", steps: {DataGate: {cpu: '1'}}": 3,
    }[more]  # fmt: skip


def test_a_curated_schema_which_changes_by_itself_does_not_run_ingestion_again(tmp_path: Path) -> None:
    text = FILE.replace("*.tfrecord}", "*.tfrecord, schema: gs://bucket/schema.pbtxt}")
    spec, _ = packaged(tmp_path, "", text)
    outputs = spec["components"]["comp-schema"]["outputDefinitions"]["artifacts"]
    assert outputs.keys() == {"schemagen_schema", "parsingschema_parsing_schema"}
    assert not waits_for(spec["root"]["dag"]["tasks"]["data"]) - {"pin"}


def test_a_beam_runner_changes_nothing_that_the_backend_has_in_its_cache_keys(tmp_path: Path) -> None:
    bucket = ", pipeline_root: 'gs://bucket/runs'"
    beam = (
        "beam: {runner: FlinkRunner, job_endpoint: 'flink:8099', environment: EXTERNAL, "
        "environment_config: 'localhost:50000', options: {odd: '{{a}} $(B)'}}\n"
    )
    without, _ = packaged(tmp_path, bucket)
    spec, platform = packaged(tmp_path, bucket, FILE + beam)
    check(spec, platform)
    containers = {
        name: each["container"] for name, each in spec["deploymentSpec"]["executors"].items() if name != "exec-pin"
    }
    environments = {json.dumps(container.pop("env")) for container in containers.values()}
    assert containers == {
        name: each["container"] for name, each in without["deploymentSpec"]["executors"].items() if name != "exec-pin"
    }
    assert spec["root"] == without["root"] and spec["components"] == without["components"]
    (environment,) = map(json.loads, environments)
    ((name, value),) = ((each["name"], each["value"]) for each in environment)
    assert name == "HUBLINE_BEAM" and "{{" not in value and "$" not in value
    assert json.loads(value)["scratch"] == "gs://bucket/state/scratch"
    assert {"--runner=FlinkRunner", "--job_endpoint=flink:8099", "--odd={{a}} $(B)"} <= {
        *json.loads(value)["arguments"]
    }
    compiled = compile_file(*load(tmp_path / "pipeline.yaml"), IMAGE, False, tmp_path / "package.yaml")
    assert "beam.job_endpoint: a run that is stopped can't cancel its job" in compiled.warnings[-1]


# Size


def test_the_workflow_stays_far_below_what_argo_compresses(tmp_path: Path) -> None:
    said = (
        ", every_step: {volumes: [{claim: work, path: /mnt/work}], tolerations: [{key: spot, operator: Exists}]}"
        ", alert: {webhook: {secret: alerts, key: url}}"
    )
    plain, placed = (workflow_size(*packaged(tmp_path, more)) for more in (", join: {}", f", join: {{}}{said}"))
    joined = workflow_size(*packaged(tmp_path, said))
    assert 400_000 < joined.total < plain.total < placed.total < LIMIT
    assert joined.total < 0.9 * placed.total and joined.warning([]) is None
    assert sum(placed.by_step.values()) > 0.8 * placed.total and "Alert" in placed.by_step


def test_a_workflow_near_the_limit_is_warned_of_with_what_to_join(tmp_path: Path) -> None:
    tolerations = ", ".join(f"{{key: key-{number}, operator: Exists}}" for number in range(40))
    size = workflow_size(*packaged(tmp_path, f", join: {{}}, every_step: {{tolerations: [{tolerations}]}}"))
    said = size.warning(["StatisticsGen", "SchemaGen", "DataGate"])
    assert said is not None and "kubeflow.join: {More: [" in said and "StatisticsGen" in said
    assert "kubeflow.every_step" in said and "1,049 kB" in said


def test_types_of_artifacts_are_their_titles(tmp_path: Path) -> None:
    spec, _ = packaged(tmp_path)
    text = json.dumps(spec["components"])
    assert "instanceSchema" not in text and "description" not in text and '"tfx.Examples"' in text


def test_what_the_first_step_is_told_has_no_webhook(tmp_path: Path) -> None:
    spec, _ = packaged(tmp_path, ", alert: {webhook: 'https://hooks.example/T0/secret'}")
    assert "secret" not in json.dumps(spec["deploymentSpec"]["executors"]["exec-pin"]["container"]["args"])


def test_the_first_step_is_told_the_file_as_it_was_written(tmp_path: Path) -> None:
    spec, _ = packaged(tmp_path)
    file, _ = load(tmp_path / "pipeline.yaml")
    told = json.loads(spec["deploymentSpec"]["executors"]["exec-pin"]["container"]["args"][0])
    written = YAML(typ="safe", pure=True).load((tmp_path / "pipeline.yaml").read_text())
    assert told == dumped(file) and {**told, "kubeflow": None} == {**written, "kubeflow": None}


# Other languages


def test_readers_of_yaml_1_1_and_1_2_read_the_same_package(tmp_path: Path) -> None:
    documents = packaged(tmp_path, ", every_step: {env: {A: 'on', B: '0o17', C: '1:20'}}")
    text = io.StringIO()
    yaml().dump_all(documents, text)
    assert tuple(pyyaml.safe_load_all(text.getvalue())) == documents
    assert tuple(YAML(typ="safe", pure=True).load_all(text.getvalue())) == documents
    assert "1.0e-05" in text.getvalue()


WORDS = ["y", "No", "ON", "null", "=", "<<", ".5", "1.", "+12", "0x1F", "-.inf", "1e3", "\x85", "\u2028", "trailing "]
VALUES = st.one_of(
    st.sampled_from(WORDS), st.text(max_size=12), st.text("0123456789_:.eE+-xob", max_size=8), st.booleans(),
    st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.none(),
)  # fmt: skip


@pytest.mark.slow
@given(st.dictionaries(st.text(max_size=5) | st.sampled_from(WORDS), VALUES, max_size=4))
def test_whatever_a_package_holds_is_read_alike(values: dict[str, Any]) -> None:
    text = io.StringIO()
    yaml().dump(values, text)
    assert pyyaml.safe_load(text.getvalue()) == values
    assert YAML(typ="safe", pure=True).load(text.getvalue()) == values


@given(st.text('ab{}$()"\\', max_size=12))
def test_arguments_cross_argo_and_kubernetes_unchanged(text: str) -> None:
    crossed = argument({text: [text]})
    assert "{{" not in crossed and "$" not in crossed and json.loads(crossed) == {text: [text]}
