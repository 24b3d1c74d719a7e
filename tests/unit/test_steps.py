"""Declarations of steps, and what is derived from them."""

import json
import re
import subprocess
import sys
import types
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import BaseModel
from tfx.dsl.components.base import base_beam_component, base_beam_executor
from tfx.types import Channel, standard_artifacts

from hubline.artifacts.examples import Manifest, Origin, ShardFile
from hubline.components import steps
from hubline.components.component import component
from hubline.components.config.evaluation import Evaluation
from hubline.components.node import Output, node
from hubline.components.step import SLOW_IMPORTS, Step
from hubline.components.steps import STEPS
from hubline.core.code_digest import code_digest
from hubline.core.errors import DataError
from hubline.pipeline.config import InferFile, PipelineFile
from hubline.pipeline.kubeflow.config import Kubeflow
from hubline.preprocessing.kinds.numeric import NumericFeature

DOCS = Path(__file__).parents[2] / "docs"
CACHING, ADD_A_STEP = DOCS / "caching.md", DOCS / "add-a-step.md"

_MEASURE = f"""
import json, os, sys
from importlib import import_module
import hubline.pipeline.kubeflow.entrypoint
for step, module in json.loads(sys.argv[1]):
    reading, writing = os.pipe()
    if os.fork() == 0:  # each step in a process of its own, as in its pod
        import_module(module)
        os.write(writing, json.dumps([step, sorted(set({SLOW_IMPORTS!r}) & set(sys.modules))]).encode())
        os._exit(0)
    os.close(writing)
    print(os.fdopen(reading).read())
    os.wait()
"""


@pytest.mark.slow
def test_a_pod_imports_what_its_step_declares() -> None:
    modules = json.dumps([(step.name, step.module) for step in STEPS])
    done = subprocess.run([sys.executable, "-c", _MEASURE, modules], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    measured = [json.loads(line) for line in done.stdout.splitlines()]
    assert measured == [[step.name, sorted(step.pod_imports)] for step in STEPS]


def test_the_declarations_are_read_without_tfx_or_tensorflow() -> None:
    program = "import sys, hubline.components.steps as s; assert not {'tfx', 'tensorflow'} & set(sys.modules); s.NAMES"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.both_stacks
@pytest.mark.slow
def test_executors_are_there_and_run_beam_where_they_declare_it() -> None:
    for step in STEPS:
        executor = getattr(import_module(step.module), step.executor.rpartition(".")[2])
        assert issubclass(executor, base_beam_executor.BaseBeamExecutor) == step.uses_beam, step.name


def test_the_steps_that_can_be_placed_are_those_that_are_declared() -> None:
    for step in STEPS:
        section = {"steps": {step.name: {"gpus": 1}}}
        if step.uses_gpu:
            assert Kubeflow.model_validate(section).placement(step.name).gpus == 1
        else:
            with pytest.raises(ValueError, match="only steps that run a model can use gpus: Embedder, Tuner, Trainer"):
                Kubeflow.model_validate(section)


@pytest.mark.parametrize(
    "step", STEPS, ids=[step.name if step is not steps.CURATED_SCHEMA else "CuratedSchema" for step in STEPS]
)
def test_keys_that_a_step_reads_are_keys_of_the_pipeline_file(step: Step) -> None:
    for path in re.findall("`([^`]+)`", " ".join(step.properties.values())):
        assert any(_has(kind, path.split(".")) for kind in (PipelineFile, InferFile)), path


def _has(section: type[BaseModel], path: list[str]) -> bool:
    keys = {field.alias or name: field for name, field in section.model_fields.items()}
    if path[0] not in keys:
        return False
    kinds = [kind for kind in _types(keys[path[0]].annotation) if issubclass(kind, BaseModel)]
    return len(path) == 1 or any(_has(kind, path[1:]) for kind in kinds)


def _types(annotation: object) -> list[type]:
    inner = getattr(annotation, "__args__", ())
    return (
        [each for arg in inner for each in _types(arg)]
        if inner
        else [annotation]
        if isinstance(annotation, type)
        else []
    )


def test_the_table_of_cache_keys_is_that_of_the_declarations() -> None:
    assert _table() in CACHING.read_text(), f"docs/caching.md: the table of cache keys is to be\n\n{_table()}"


def _table() -> str:
    lines = ["| step | inputs | properties |", "|---|---|---|"]
    for step in STEPS:
        properties = [*dict.fromkeys(step.properties.values()), *(["code"] if step.is_cached_on_code else [])]
        optional = {key: " (optional)" for key in step.optional_inputs}
        inputs = [key.replace("_", " ") + optional.get(key, "") for key in step.inputs]
        inputs += ["modules"] if step.takes_modules else []
        name = f"{step.name}, curated" if step is steps.CURATED_SCHEMA else step.name
        lines.append(f"| {name} | {', '.join(inputs)} | {', '.join(properties)} |")
    return "\n".join(lines)


SCHEMA, EXAMPLES = Output("ParsingSchema", "parsing_schema", "Schema"), Output("ExampleGen", "examples", "Examples")


def test_a_component_is_made_of_its_declaration() -> None:
    step = Step(
        name="Sums",
        executor=steps.STATISTICS_GEN.executor,
        inputs={"examples": "Examples"},
        takes_modules=True,
        outputs={"sums": "ExampleStatistics", "more": "hubline.components.dashboard.artifacts.Markdown"},
        optional_outputs=("more",),
        properties={name: "" for name in ("features", "text", "number", "nothing", "digests")},
        integers=("number",),
        uses_beam=True,
    )
    hub = Output("HubModule.photos", "model", "Model")
    given = {
        "features": {"age": NumericFeature(kind="numeric"), "pay": NumericFeature(kind="numeric", normalize="log1p")},
        "text": "é",
        "number": 3,
        "nothing": None,
        "digests": {"b": "2", "a": "1"},
    }
    declared = node(step, instance="first", modules={"photos": hub}, without=("more",), examples=EXAMPLES, **given)
    assert declared.reads == {"ExampleGen", "HubModule.photos"}
    channels = {
        "examples": Channel(type=standard_artifacts.Examples),
        "hub_photos": Channel(type=standard_artifacts.Model),
    }
    made = component(declared, **channels)
    assert made.id == "Sums.first" and isinstance(made, base_beam_component.BaseBeamComponent)
    assert made.type == "hubline.components.component.Sums"
    assert dict(made.inputs) == channels
    assert {key: channel.type for key, channel in made.outputs.items()} == {
        "sums": standard_artifacts.ExampleStatistics
    }
    assert dict(made.exec_properties) == {
        "features": '{"age":{"kind":"numeric"},"pay":{"kind":"numeric","normalize":"log1p"}}',
        "text": "é",
        "number": 3,
        "nothing": "",
        "digests": '{"a": "1", "b": "2"}',
        "code": code_digest(step.module),
    }


def test_what_a_declaration_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match=r"ParsingSchema: not given: \['schema'\]; not declared: \['shema'\]"):
        node(steps.PARSING_SCHEMA, shema=SCHEMA)
    with pytest.raises(TypeError, match="ParsingSchema takes no modules"):
        node(steps.PARSING_SCHEMA, schema=SCHEMA, modules={"a": SCHEMA})
    with pytest.raises(TypeError, match=r"ParsingSchema: not optional: \['parsing_schema'\]"):
        node(steps.PARSING_SCHEMA, schema=SCHEMA, without=("parsing_schema",))


def test_the_worked_example_of_a_new_step_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executor, declaration, wiring = re.findall(r"^```python\n(.*?)^```", ADD_A_STEP.read_text(), re.M | re.S)
    module = types.ModuleType("hubline.components.split_sizes.executor")
    exec(executor, vars(module))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("hubline.components.node.code_digest", lambda name: f"digest of {name}")
    declared: dict[str, object] = {"Step": Step}
    exec(declaration, declared)
    file = types.SimpleNamespace(evaluation=Evaluation(slice_min_examples=3))
    names = {"node": node, "steps": types.SimpleNamespace(**declared), "examples": EXAMPLES, "file": file}
    exec(wiring, names)
    step = component(names["split_sizes"], examples=Channel(type=standard_artifacts.Examples))
    assert step.id == "SplitSizes" and step.exec_properties["code"] == f"digest of {module.__name__}"

    examples = standard_artifacts.Examples()
    examples.uri = str(tmp_path)
    run = step.executor_spec.executor_class().Do
    for count in (3, 2):
        origin = Origin(file="data", count=count)
        shard = ShardFile(split="test", name="a", origins=(origin,), largest=1, digest="")
        Manifest(shards=(shard,), images=()).write(examples.uri)
        if count == 3:
            run({"examples": [examples]}, {}, dict(step.exec_properties))
    with pytest.raises(DataError, match=r"the test split has 2 examples, and evaluation\.slice_min_examples is 3"):
        run({"examples": [examples]}, {}, dict(step.exec_properties))
