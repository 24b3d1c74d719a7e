"""Run parameters are validated and resolved like the pipeline file that they change."""

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from hubline.core.errors import UserError
from hubline.pipeline.config import AnyFile
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.kubeflow.parameter_definitions import InvalidParameters, dumped, offered, with_changes
from hubline.pipeline.kubeflow.run_parameters import check, of_options
from hubline.pipeline.load import load

FILE = """\
name: taxi-tips
data: {examples: mounted/data}
features:
  miles: {kind: numeric}
  area: {kind: categorical}
  photo: {kind: image, size: [8, 8]}
label: {from: tips, kind: class}
hubs:
  net: {handle: mounted/net, inputs: {images: photo}}
model:
  wide: [area]
training: {epochs: 1, batch_size: 8}
evaluation:
  thresholds: {accuracy: {at_least: 0.5}}
serving: {destination: mounted/serving, push: false}
kubeflow:
  state: MOUNTED
  every_step: {volumes: [{claim: work, path: MOUNTED}]}
  schedule:
    cron: 0 3 * * *
    parameters: {}
"""


def load_file(folder: Path, text: str = FILE) -> AnyFile:
    path = folder / "pipeline.yaml"
    path.write_text(text.replace("MOUNTED", f"{folder}/mounted"))
    return load(path)[0]


def changed(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The contents of a file after a user edited it."""
    for key, value in changes.items():
        *holders, last = key.split(".")
        section = values
        for step in holders:
            section = section.setdefault(step, {})
        section[last] = value
    return values


@pytest.mark.parametrize(
    "changes",
    [
        {"training.epochs": 0},
        {"training.sed": 3},
        {"training.optimizer": {"name": "adm"}},
        {"training.optimizer.momentum": 0.9},
        {"training.cache_views": 3},
        {"training.augment": ["flip_up_down", {"mixup": 0.2}]},
        {"data.split": {"train": 0, "valid": 1}},
        {"features.miles.kind": "number"},
        {"features.miles": {"kind": "image", "size": [8, 8]}},
        {"model.wide": ["area", "miles"], "evaluation.metrics": ["rmse"], "training.epochs": -1},
        {"hubs.net.inputs": {"images": "picture"}},
        {"hubs.net.outputs": ["a", "b"]},
        {"label.kind": "regression"},
        {"task": "infer"},
        {"name": "Taxi Tips"},
    ],
    ids=json.dumps,
)
def test_overrides_have_the_errors_that_the_changed_file_has(tmp_path: Path, changes: dict[str, Any]) -> None:
    values = dumped(load_file(tmp_path))
    with pytest.raises(InvalidParameters) as by_form:
        with_changes(values, {"overrides": changes}, str(tmp_path))
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(changed(values, changes)))
    with pytest.raises(PipelineFileError) as by_file:
        load(path)
    in_file = [f"{diagnostic.key}: {diagnostic.message}" for diagnostic in by_file.value.diagnostics]
    in_form = str(by_form.value).splitlines()
    assert len(in_form) == len(in_file)
    for line in in_file:
        # A location below an override has the override's name in front; others follow the parameter's name.
        assert any(said in (f"overrides.{line}", line) or line in said for said in in_form), (line, in_form)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"data.split": {"train": 0}}, ["overrides.data.split.train: input should be greater than or equal to 1"]),
        ({"training.optimizer": {"lr": 1}}, ["overrides.training.optimizer.lr: unknown key"]),
        ({"evaluation.metrics": ["auc", "rmse"]}, ["overrides.evaluation.metrics[1]: rmse does not fit"]),
        (
            {"training.optimizer.momentum": 0.9},
            ["overrides.training.optimizer.momentum: training.optimizer: adam has no momentum"],
        ),
        (
            {"beam.workers": 2, "kubeflow.state": "/x", "name.first": "x", "training.epochs": 0},
            [
                "overrides.beam.workers: is fixed when the file is compiled",
                "overrides.kubeflow.state: is fixed when the file is compiled",
                "overrides.name.first: name is 'taxi-tips', which has no keys",
                "overrides.training.epochs: input should be greater than or equal to 1",
            ],
        ),
        (
            {"training.cache_views": 2, "training.seed": 3},
            ["training: cache_views requires `augment`", "(changed by overrides.training.cache_views, overrides.train"],
        ),
        ({"model.head.channels": [8]}, ["overrides.model.head.channels: is for a label of kind pixels"]),
        ({"features.photo.size": [8, 0], "serving.destination": "/x"}, ["overrides.features.photo.size[1]: input sh"]),
        (
            {"serving.destination": "/x", "data.examples": "/y"},
            ["overrides.serving.destination: /x: on this machine", "overrides.data.examples: /y: on this machine"],
        ),
    ],
)
def test_all_errors_name_the_override(tmp_path: Path, overrides: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(InvalidParameters) as caught:
        check(load_file(tmp_path), {"overrides": overrides}, str(tmp_path))
    lines = str(caught.value).splitlines()
    assert all(any(each in line for line in lines) for each in said), lines
    assert len(lines) == len({line.partition(" (changed by")[0] for line in lines}) <= len(said)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"serving.destination": "mounted/b"}, {"serving.destination": "FOLDER/mounted/b"}),
        (
            {"data.split": {"train": "a/*", "validation": "b/*", "test": "c/../d/*"}},
            # These are relative to data.examples.
            {"data.split": {"train": "a/*", "validation": "b/*", "test": "c/../d/*"}},
        ),
        (
            {"hubs": {"net": {"handle": "mounted/other", "inputs": {"images": "photo"}}}},
            {"hubs": {"net": {"handle": "FOLDER/mounted/other", "inputs": {"images": "photo"}}}},
        ),
        (
            {"features.area": {"kind": "categorical", "vocabulary": {"file": "mounted/words"}}},
            {"features.area": {"kind": "categorical", "vocabulary": {"file": "FOLDER/mounted/words"}}},
        ),
        ({"training.augment": ["flip_up_down"]}, {"training.augment": ["flip_up_down"]}),
    ],
)
def test_relative_paths_are_resolved_wherever_they_are(
    tmp_path: Path, overrides: dict[str, Any], expected: dict[str, Any]
) -> None:
    file = load_file(tmp_path)
    sent = check(file, {"overrides": overrides}, str(tmp_path))
    assert json.dumps(sent["overrides"]) == json.dumps(expected).replace("FOLDER", str(tmp_path))
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(changed(json.loads(json.dumps(dumped(file))), overrides)))
    # On the cluster there is no folder, and every number is a float.
    there = with_changes(dumped(file), json.loads(json.dumps(sent), parse_int=float))
    assert there == type(file).model_validate(dumped(load(path)[0]))


def test_numbers_in_lists_and_mappings_of_the_form_are_read_as_they_were_written(tmp_path: Path) -> None:
    values = dumped(load_file(tmp_path))
    overrides = {
        "label": {"kind": "class", "from": "tips", "classes": [1.0, 2.0]},
        "training.optimizer": {"name": "sgd"},
    }
    file = with_changes(values, {"overrides": overrides})
    assert file.label is not None and file.label.classes == ("1", "2")  # type: ignore[union-attr]


def test_overrides_are_applied_after_the_form_s_fields_whatever_their_order(tmp_path: Path) -> None:
    file = load_file(tmp_path)
    form = {parameter.name: parameter.default for parameter in offered(file)}
    for order in (sorted(form), sorted(form, reverse=True)):
        given = {name: form[name] for name in order} | {"overrides": {"serving.push": True, "training.epochs": 7}}
        given = {name: given[name] for name in order}
        read = with_changes(dumped(file), given)
        assert read.serving is not None and read.serving.push and read.training is not None
        assert read.training.epochs == 7
    without = with_changes(dumped(file), form | {"overrides": {"evaluation.thresholds": {}}})
    assert without.evaluation is not None and without.evaluation.thresholds == {}


def test_options_are_named_in_each_line(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        of_options(load_file(tmp_path), ["epochs=0", "batch_size=-1"], str(tmp_path))
    assert [line.partition(": ")[0] for line in str(caught.value).splitlines()] == [
        "--parameter epochs",
        "--parameter batch_size",
    ]


@pytest.mark.parametrize(
    ("parameters", "key", "says"),
    [
        ("epoch: 3", "epoch", "the pipeline has no such parameter; did you mean 'epochs'?"),
        ("epochs: 0", "epochs", "greater than or equal to 1"),
        ("overrides: {training.sed: 3}", "overrides.training.sed", "unknown key; did you mean 'seed'?"),
        ("overrides: {features.area.kind: numeric}", "", "the wide part takes categories; 'area' is numeric"),
        ("hub_net: $(HOME)", "hub_net", "Kubernetes fills in"),
    ],
)
def test_parameters_of_the_schedule_have_their_errors_at_their_line(
    tmp_path: Path, parameters: str, key: str, says: str
) -> None:
    text = FILE.replace("    parameters: {}", f"    parameters:\n      {parameters}")
    with pytest.raises(PipelineFileError) as caught:
        load_file(tmp_path, text)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.line == text.splitlines().index(f"      {parameters}") + (1 if key else 0)
    assert diagnostic.key == f"kubeflow.schedule.parameters.{key}".rstrip(".")
    assert says in diagnostic.message


def test_a_file_reads_alike_as_yaml_and_as_json(tmp_path: Path) -> None:
    file = load_file(tmp_path)
    values = YAML(typ="safe", pure=True).load((tmp_path / "pipeline.yaml").read_text())
    (tmp_path / "pipeline.yaml").write_text(json.dumps(values))
    assert load(tmp_path / "pipeline.yaml")[0] == file
